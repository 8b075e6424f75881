#include "altprop/probes/gradient_check.h"

#include "altprop/base/error.h"
#include "altprop/network/buffer_guard.h"
#include "altprop/network/gradients.h"
#include "altprop/ode/block.h"

namespace altprop {

namespace {

template <class Pass>
std::vector<Tensor> gradients_of(Rule& rule, Pass pass) {
  BufferGuard buffers(rule.net());
  Gradients found;
  pass(found);
  return found.of_params(rule.net().params());
}

}  // namespace

Rule& with_gradient(Learner& learner, const std::string& name) {
  if (auto* rule = dynamic_cast<Rule*>(&learner)) return *rule;
  throw UsageError("rule '" + name +
                   "' has no gradient to check: it trains by other means than local signals");
}

std::vector<GradientRow> compare_gradients(Rule& rule, const Step& step) {
  const std::vector<ParamPtr> params = rule.net().params();
  const auto found = gradients_of(rule, [&](Sink& sink) {
    Step own = Step::look_at(step, step.targets);
    rule.assign(own, sink);
  });
  const ode::ExactGradients reference(rule.net());
  const auto exact = gradients_of(rule, [&](Sink& sink) {
    rule.reference(Step::look_at(step, step.targets), rule.objective(step), sink);
  });
  std::vector<GradientRow> rows;
  for (size_t i = 0; i < params.size(); ++i)
    if (params[i]->learnt) rows.push_back({params[i]->name, similarity(found[i], exact[i])});
  return rows;
}

std::vector<AlignmentRow> measure_alignment(const Learner& learner) {
  std::vector<AlignmentRow> rows;
  for (const FeedbackFact& fact : learner.feedback()) {
    const Similarity s = similarity(fact.feedback, fact.weight);
    rows.push_back({fact.name, s.angle_degrees, s.magnitude_ratio, fact.predicted_factor,
                    fact.measured_factor});
  }
  return rows;
}

}  // namespace altprop
