#include "altprop/rules/learner.h"

#include "altprop/base/error.h"

namespace altprop {

void Learner::bind(Graph& net, const Loss& loss, uint64_t seed) {
  if (needs_loss() && &loss == &no_loss())
    throw Refusal("loss", "this rule needs the loss at outputs that move, and there is none",
                  "bind it with a loss, or use a rule such as backprop that takes cotangents");
  expect_output_for(loss, net);
  admit(net, loss);
  net_ = &net;
  loss_ = &loss;
  seed_ = seed;
  known_updater_ = nullptr;
  penalised_ = net.traits().penalises;
  set_up();
}

void Learner::penalise(double share, Sink& sink) const {
  if (penalised_) net().penalise(share, sink);
}

Graph& Learner::net() const {
  if (!net_) throw Error("the learner has no network yet; call bind first");
  return *net_;
}

const Loss& Learner::loss() const {
  if (!loss_) throw Error("the learner has no loss yet; call bind first");
  return *loss_;
}

void Learner::require_owned(const Updater& updater) {
  for (const ParamPtr& param : owned())
    if (param->learnt && !updater.slot(*param))
      throw Error("the rule's own parameter '" + param->name +
                  "' is not stepped by this updater; bind it to owned() as well as trained()");
}

void Learner::update(Step& step) {
  if (known_updater_ != &step.updater()) {
    require_owned(step.updater());
    step.updater().refuse_bounds(trained());
  }
  known_updater_ = &step.updater();
  step.updater().apply();
  net().project();
  after_update(step.updater().facts(), step);
}

Scores Learner::judge(const Tensor& output, const Tensor& targets) const {
  const double n = static_cast<double>(output.size(0));
  Scores out;
  out.add("loss", loss().value(output, targets).to(at::kDouble).sum().item<double>(), n);
  if (const Tensor right = loss().right(output, targets); right.defined())
    out.add("accuracy", right.item<double>(), n, true);
  return out;
}

Scores Learner::evaluate(const Look& look, const Tensor& targets) {
  return judge(predict(look), targets);
}

}  // namespace altprop
