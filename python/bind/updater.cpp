#include "updater.h"

#include "altprop/base/error.h"

namespace altprop::python {

OptimizerSettings optimizer_settings(const pybind11::dict& known) {
  OptimizerSettings out;
  out.kind = known["kind"].cast<std::string>();
  const auto read = [&](const char* name, double& value) {
    if (known.contains(name)) value = known[name].cast<double>();
  };
  read("lr", out.lr);
  read("momentum", out.momentum);
  read("weight_decay", out.weight_decay);
  read("beta1", out.beta1);
  read("beta2", out.beta2);
  read("eps", out.eps);
  return out;
}

void ForeignUpdater::stepped(OptimizerSettings settings) {
  settings_ = std::move(settings);
  facts_ = settings_.facts(settings_.lr, settings_.weight_decay);
  ++steps_;
}

void ForeignUpdater::apply(const std::string&) {
  throw Error("an optimizer of PyTorch's steps when its own step() is called, and not by a rule");
}

void ForeignUpdater::refuse_signals() {
  throw Error("signals of a step by the rule itself have nowhere to go beside PyTorch's optimizer");
}

}  // namespace altprop::python
