#include "altprop/probes/gradient_check.h"

#include "altprop/network/buffer_guard.h"
#include "altprop/network/gradients.h"

namespace altprop {

namespace {

template <class Pass>
std::vector<Tensor> gradients_of(const std::vector<ParamPtr>& params, const Step& original,
                                 Pass pass) {
  Activity activity;
  Step step{original.net,    original.loss,    nullptr,       activity,
            original.inputs, original.targets, original.ids,  original.epoch,
            original.index,  original.pass,    original.draws};
  BufferGuard buffers(original.net);
  Gradients found;
  pass(step, found);
  return found.of_params(params);
}

}  // namespace

std::vector<GradientRow> compare_gradients(Rule& rule, const Step& step) {
  const std::vector<ParamPtr> params = step.net.params();
  const auto found = gradients_of(params, step, [&](Step& s, Sink& sink) { rule.assign(s, sink); });
  const auto exact =
      gradients_of(params, step, [&](Step& s, Sink& sink) { rule.reference(s, sink); });
  std::vector<GradientRow> rows;
  for (size_t i = 0; i < params.size(); ++i)
    rows.push_back({params[i]->name, similarity(found[i], exact[i])});
  return rows;
}

std::vector<AlignmentRow> measure_alignment(const Rule& rule, const Graph& net) {
  std::vector<AlignmentRow> rows;
  for (const FeedbackFact& fact : rule.feedback(net)) {
    const Similarity s = similarity(fact.feedback, fact.weight);
    rows.push_back({fact.name, s.angle_degrees, s.magnitude_ratio, fact.predicted_factor,
                    fact.measured_factor});
  }
  return rows;
}

}  // namespace altprop
