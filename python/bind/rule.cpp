#include "rule.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "altprop/rules/registry.h"
#include "altprop/tensor/row_blocks.h"

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
                     bool input_credit, const std::optional<py::dict>& optimizer)
    : net_(std::move(net)),
      loss_(std::move(loss)),
      learner_(make_rule(name, options)),
      rule_(dynamic_cast<Rule*>(learner_.get())),
      input_credit_(input_credit),
      draws_(Stream(seed).at("step")) {
  net_->expect_own_process();
  if (!rule_)
    throw Refusal("rule '" + name + "'",
                  "it trains the network by itself and gives no gradients to an optimizer of yours",
                  "use it from the command line");
  if (optimizer) rule_->prepare_for(optimizer_settings(*optimizer));
  py::gil_scoped_release release;
  std::lock_guard lock(net_->one_at_a_time());
  if (input_credit_) rule_->set_input_credit(true);
  rule_->bind(net_->graph(), loss_ ? static_cast<const Loss&>(*loss_) : no_loss(), seed);
}

std::vector<ParamPtr> BoundRule::all_params() const {
  std::vector<ParamPtr> out = net_->params();
  for (const ParamPtr& own : rule_->owned()) out.push_back(own);
  return out;
}

std::vector<Owned> BoundRule::owned() const {
  const std::vector<ParamPtr>& params = net_->params();
  std::vector<Owned> out;
  for (const ParamPtr& own : rule_->owned()) {
    const auto partner = std::find_if(params.begin(), params.end(),
                                      [&](const ParamPtr& p) { return p.get() == own->twin; });
    out.push_back({own->name, own->value,
                   partner == params.end() ? -1 : static_cast<int>(partner - params.begin()),
                   own->learnt});
  }
  return out;
}

Tensor BoundRule::carried(size_t own, const Tensor& of_partner) const {
  at::NoGradGuard no_grad;
  const ParamPtr param = rule_->owned().at(own);
  return param->carry ? param->carry(of_partner) : of_partner;
}

Look BoundRule::look_at(const Tensor& inputs, int64_t step, bool learning) const {
  return {.inputs = inputs.detach(), .draws = draws_.at(step), .index = step, .learning = learning};
}

std::shared_ptr<ForwardPass> BoundRule::forward(const Tensor& inputs, int64_t step, bool learning) {
  net_->expect_own_process();
  py::gil_scoped_release release;
  std::lock_guard lock(net_->one_at_a_time());
  at::NoGradGuard no_grad;
  auto out = std::make_shared<ForwardPass>();
  const Look look = look_at(inputs, step, learning);
  out->trace = rule_->forward(look);
  out->output = out->trace->output;
  if (learning) last_ = look;
  return out;
}

Credits BoundRule::send(ForwardPass& pass, const Objective& objective,
                        const std::vector<std::optional<Tensor>>& into,
                        const std::vector<bool>& keep) {
  net_->expect_own_process();
  std::lock_guard lock(net_->one_at_a_time());
  if (!pass.trace)
    throw Error("the credit of this forward pass has been taken already; make another one");
  at::NoGradGuard no_grad;
  std::optional<WholeBatches> whole;
  if (objective.has_loss() && loss_->couples_samples) whole.emplace();
  Gradients store = Gradients::none();
  const std::vector<ParamPtr> params = all_params();
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

void BoundRule::run_pass(const std::string& pass, const Tensor& inputs, int64_t step) {
  net_->expect_own_process();
  py::gil_scoped_release release;
  std::lock_guard lock(net_->one_at_a_time());
  at::NoGradGuard no_grad;
  Step batch = Step::train(updater_, look_at(inputs, step, true), {});
  batch.pass = pass;
  rule_->step(batch);
}

void BoundRule::after_update(const py::dict& optimizer) {
  net_->expect_own_process();
  updater_.stepped(optimizer_settings(optimizer));
  if (!last_.inputs.defined()) return;  // a step before any batch of this rule
  py::gil_scoped_release release;
  std::lock_guard lock(net_->one_at_a_time());
  at::NoGradGuard no_grad;
  rule_->after_update(updater_.facts(), Step::train(updater_, last_, targets_));
}

std::vector<std::string> BoundRule::warnings(const py::dict& optimizer) const {
  return rule_->warnings(optimizer_settings(optimizer));
}

std::vector<std::tuple<std::string, double, double, double>> BoundRule::alignment() const {
  at::NoGradGuard no_grad;
  std::vector<std::tuple<std::string, double, double, double>> out;
  for (const FeedbackFact& fact : rule_->feedback())
    out.emplace_back(fact.name, (fact.feedback - fact.weight).norm().item<double>(),
                     fact.predicted_factor, fact.measured_factor);
  return out;
}

void BoundRule::take_over(BoundRule& other) {
  TensorMap kept;
  other.rule_->state(StateIO::saving(kept));
  const std::vector<ParamPtr> mine = rule_->owned(), theirs = other.rule_->owned();
  if (mine.size() != theirs.size())
    throw Error("the rule has other weights of its own on this trace");
  for (size_t i = 0; i < mine.size(); ++i)
    if (mine[i]->name != theirs[i]->name ||
        mine[i]->value.sizes() != theirs[i]->value.sizes())
      throw Error("'" + mine[i]->name + "' was '" + theirs[i]->name + "', or had another shape");
  rule_->state(StateIO::loading(kept));
  for (size_t i = 0; i < mine.size(); ++i) mine[i]->value = theirs[i]->value;
  last_ = other.last_;
  targets_ = other.targets_;
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
  targets_ = targets;
  send(pass, Objective(*loss_, targets, samples), into, keep);
}

}  // namespace altprop::python
