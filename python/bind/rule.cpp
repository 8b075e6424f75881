#include "rule.h"

#include <ATen/core/grad_mode.h>
#include <unistd.h>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "altprop/rules/registry.h"

namespace altprop::python {

namespace py = pybind11;

namespace {

Tensor asked(const py::function& function, const Tensor& output, const Tensor& target) {
  py::gil_scoped_acquire gil;
  return function(output, target).cast<Tensor>();
}

}  // namespace

Tensor PythonLoss::value(const Tensor& output, const Tensor& target) const {
  return asked(value_, output, target);
}
Tensor PythonLoss::gradient(const Tensor& output, const Tensor& target) const {
  return asked(gradient_, output, target);
}

BoundRule::BoundRule(std::shared_ptr<Network> net, const std::string& name,
                     const OptionValues& options, std::shared_ptr<PythonLoss> loss, uint64_t seed,
                     bool input_credit)
    : net_(std::move(net)),
      loss_(std::move(loss)),
      learner_(make_rule(name, options)),
      rule_(dynamic_cast<Rule*>(learner_.get())),
      input_credit_(input_credit),
      draws_(Stream(seed).at("step")),
      process_(::getpid()) {
  if (!rule_)
    throw Refusal("rule '" + name + "'",
                  "it trains the network by itself and gives no gradients to an optimizer of yours",
                  "use it from the command line");
  py::gil_scoped_release release;
  if (input_credit_) rule_->set_input_credit(true);
  rule_->bind(net_->graph(), loss_ ? static_cast<const Loss&>(*loss_) : no_loss(), seed);
}

void BoundRule::expect_own_process() const {
  if (::getpid() != process_)
    throw UsageError(
        "this network belongs to the process that traced it, and this one was forked from that: call "
        "altprop.from_torch here, too (workers of a DataLoader need no network)");
}

std::vector<std::string> BoundRule::owned() const {
  std::vector<std::string> out;
  for (const ParamPtr& param : rule_->owned()) out.push_back(param->name);
  return out;
}

std::shared_ptr<ForwardPass> BoundRule::forward(const Tensor& inputs, int64_t step, bool learning) {
  expect_own_process();
  py::gil_scoped_release release;
  std::lock_guard lock(one_at_a_time_);
  at::NoGradGuard no_grad;
  auto out = std::make_shared<ForwardPass>();
  out->trace = rule_->forward(
      {.inputs = inputs.detach(), .draws = draws_.at(step), .index = step, .learning = learning});
  out->output = out->trace->output;
  return out;
}

Credits BoundRule::send(ForwardPass& pass, const Objective& objective,
                        const std::vector<std::optional<Tensor>>& into,
                        const std::vector<bool>& keep) {
  expect_own_process();
  std::lock_guard lock(one_at_a_time_);
  if (!pass.trace)
    throw Error("the credit of this forward pass has been taken already; make another one");
  at::NoGradGuard no_grad;
  Gradients store = Gradients::none();
  const std::vector<ParamPtr>& params = net_->params();
  for (size_t i = 0; i < params.size() && i < into.size(); ++i)
    if (into[i]) store.bind(*params[i], *into[i], keep.at(i) ? 1 : 0);
  const char wanted = input_credit_;
  const TracePtr trace = std::move(pass.trace);
  Credits out = rule_->credit(*trace, objective, store, Wanted(&wanted, 1));
  // What no signal came for is zero, and not what the memory held.
  for (size_t i = 0; i < params.size() && i < into.size(); ++i)
    if (into[i]) store.find(*params[i])->settle();
  return out;
}

std::optional<Tensor> BoundRule::credit(ForwardPass& pass, const Tensor& cotangent,
                                        const std::vector<std::optional<Tensor>>& into,
                                        const std::vector<bool>& keep) {
  py::gil_scoped_release release;
  const Credits out = send(pass, Objective::cotangent(cotangent.detach()), into, keep);
  return out.empty() || !out[0].defined() ? std::optional<Tensor>() : out[0];
}

void BoundRule::credit_of_loss(ForwardPass& pass, const Tensor& targets,
                               const std::vector<std::optional<Tensor>>& into,
                               const std::vector<bool>& keep) {
  if (!loss_) throw Error("the rule was bound without a loss");
  py::gil_scoped_release release;
  const auto samples = static_cast<double>(pass.output.size(0));
  send(pass, Objective(*loss_, targets, samples), into, keep);
}

}  // namespace altprop::python
