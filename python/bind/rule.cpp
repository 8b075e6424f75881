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
                     const OptionValues& options, std::shared_ptr<PythonLoss> loss, uint64_t seed)
    : net_(std::move(net)),
      loss_(std::move(loss)),
      learner_(make_rule(name, options)),
      rule_(dynamic_cast<Rule*>(learner_.get())),
      draws_(Stream(seed).at("step")),
      process_(::getpid()) {
  if (!rule_)
    throw Refusal("rule '" + name + "'",
                  "it trains the network by itself and gives no gradients to an optimizer of yours",
                  "use it from the command line");
  py::gil_scoped_release release;
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

Tensor BoundRule::forward(const Tensor& inputs, int64_t step, bool learning) {
  expect_own_process();
  py::gil_scoped_release release;
  std::lock_guard lock(one_at_a_time_);
  at::NoGradGuard no_grad;
  trace_ = rule_->forward(
      {.inputs = inputs.detach(), .draws = draws_.at(step), .index = step, .learning = learning});
  return trace_->output;
}

void BoundRule::send(const Objective& objective, const std::vector<std::optional<Tensor>>& into,
                     const std::vector<bool>& keep) {
  expect_own_process();
  std::lock_guard lock(one_at_a_time_);
  if (!trace_) throw Error("there is no forward pass whose credit could be taken");
  at::NoGradGuard no_grad;
  Gradients store = Gradients::none();
  const std::vector<ParamPtr>& params = net_->params();
  for (size_t i = 0; i < params.size() && i < into.size(); ++i)
    if (into[i]) store.bind(*params[i], *into[i], keep.at(i) ? 1 : 0);
  rule_->credit(*trace_, objective, store);
  trace_.reset();
  // What no signal came for is zero, and not what the memory held.
  for (size_t i = 0; i < params.size() && i < into.size(); ++i)
    if (into[i]) store.find(*params[i])->settle();
}

void BoundRule::credit(const Tensor& cotangent, const std::vector<std::optional<Tensor>>& into,
                       const std::vector<bool>& keep) {
  py::gil_scoped_release release;
  send(Objective::cotangent(cotangent.detach()), into, keep);
}

void BoundRule::credit_of_loss(const Tensor& targets, const std::vector<std::optional<Tensor>>& into,
                               const std::vector<bool>& keep) {
  if (!loss_) throw Error("the rule was bound without a loss");
  py::gil_scoped_release release;
  const auto samples = trace_ ? static_cast<double>(trace_->output.size(0)) : 1.0;
  send(Objective(*loss_, targets, samples), into, keep);
}

}  // namespace altprop::python
