// Forward passes that leave a record, and tangents along it.
#include "altprop/ode/record.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::ode {

const std::vector<std::string>& gradient_names() {
  static const std::vector<std::string> names = {"naive", "one-checkpoint", "aca", "symplectic",
                                                 "adjoint"};
  return names;
}

Gradient gradient_of(const std::string& name) {
  const std::vector<std::string>& names = gradient_names();
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<Gradient>(i);
  throw UsageError("there is no gradient method '" + name + "'" + text::suggestion(name, names));
}

Field field_of(const Graph& f, const Pass& pass, bool keep) {
  const Pass own{
      .mode = pass.mode, .draws = pass.draws, .ids = pass.ids, .first_row = pass.first_row};
  return [&f, own, keep](double t, const Tensor& x) {
    std::vector<Tensor> inputs = {x};
    if (f.input_nodes().size() > 1) inputs.push_back(at::full({1}, t, x.options()));
    auto activity = std::make_shared<Activity>();
    Evaluation out{f.run(inputs, *activity, own, {.forget = !keep})};
    // A reverse pass reads what the operations have saved, not the values on the edges.
    activity->values.clear();
    if (keep) out.activity = std::move(activity);
    return out;
  };
}

Tensor record_forward(const Tableau& method, const Graph& f, const Tensor& begin,
                      const StepSizes& sizes, Record& record) {
  const bool keep = record.gradient == Gradient::Naive;
  const bool all_states =
      record.gradient == Gradient::Aca || record.gradient == Gradient::Symplectic;
  const std::vector<TimeStep> given = std::move(record.steps);
  record.steps.clear();
  record.states.clear();
  record.stages.clear();
  record.forward = record.backward = {};
  record.begin = begin;
  record.end = Tensor();
  const Observer observe = [&](Accepted step) {
    record.steps.push_back({step.t, step.h});
    if (all_states) record.states.push_back(step.begin);
    if (!keep) return;
    record.stages.emplace_back();
    for (Evaluation& k : step.result.k) record.stages.back().push_back(std::move(k.activity));
  };
  const Field field = field_of(f, record.pass, keep);
  const Tensor end =
      given.empty()
          ? integrate(method, field, begin, 0, record.end_time, sizes, observe, &record.forward)
          : integrate_along(method, field, begin, given, observe, &record.forward);
  if (record.gradient == Gradient::Adjoint) record.end = end;
  return end;
}

Tensor push_along(const Tableau& method, const Graph& f, const Record& record,
                  const Tensor& tangent, const ParamTangents& params) {
  const Field field = field_of(f, record.pass, true);
  Tensor x = record.begin, moved = tangent.defined() ? tangent : at::zeros_like(x);
  const int s = method.stages();
  for (const TimeStep& step : record.steps) {
    std::vector<Evaluation> k, tangents;
    for (int i = 0; i < s; ++i) {
      k.push_back(field(step.t + method.c(i) * step.h, stage_state(method, x, step.h, k, i)));
      Push from{.inputs = {stage_state(method, moved, step.h, tangents, i)}, .params = params};
      const Tensor out = f.push(*k.back().activity, from);
      tangents.push_back({out.defined() ? out : at::zeros_like(moved)});
      k.back().activity.reset();
    }
    const auto weight = [&](int i) { return method.b(i); };
    x = combine(x, step.h, k, s, weight);
    moved = combine(moved, step.h, tangents, s, weight);
  }
  return moved;
}

}  // namespace altprop::ode
