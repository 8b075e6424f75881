#include "altprop/ode/step.h"

#include <cmath>
#include <limits>

#include "altprop/network/graph.h"

namespace altprop::ode {

Tensor stage_state(const Scheme& method, const Tensor& y, double h, const Evaluations& k, int i) {
  return method.stage_state(y, h, k, i);
}

double stage_time(const Scheme& method, const TimeStep& step, int i, const Tensor& like) {
  const auto& [t, h, output, jump] = step;
  const double at = t + method.c(i) * h;
  if (!jump || method.c(i) != 1) return at;
  // The last time before the jump that the state's number format has.
  if (like.scalar_type() == at::kDouble) return std::nextafter(at, t);
  const auto rounded = static_cast<float>(at);
  const double side = h > 0 ? -1 : 1;
  return side * (rounded - at) > 0
             ? rounded
             : std::nextafter(rounded, static_cast<float>(side) *
                                           std::numeric_limits<float>::infinity());
}

void evaluate_more(const Scheme& method, const Field& f, const TimeStep& step, const Tensor& y,
                   int stages, Evaluations& k) {
  for (int i = static_cast<int>(k.size()); i < stages; ++i)
    k.push_back(f(stage_time(method, step, i, y),
                  method.stage_state(y, step.h, k, i)));
}

Evaluations evaluate_stages(const Scheme& method, const Field& f, double t, double h,
                            const Tensor& y, int stages, const Evaluation* first) {
  Evaluations k;
  if (first && stages > 0) k.push_back(*first);
  evaluate_more(method, f, {t, h}, y, stages, k);
  return k;
}

StepResult take_step(const Scheme& method, const Field& f, const TimeStep& step, const Tensor& y,
                     const Evaluation* first, bool with_error) {
  const int s = method.stages();
  StepResult out;
  if (first) out.k.push_back(*first);
  evaluate_more(method, f, step, y, s, out.k);
  out.evaluations = s - (first ? 1 : 0);
  // Of methods whose last row of a is b, this is that row: the state at which `last` is evaluated.
  out.end = method.end(y, step.h, out.k);
  if (!with_error) return out;
  if (method.first_same_as_last()) {
    out.last =
        f(step.jump ? stage_time(method, step, s - 1, y) : step.t + step.h, out.end);
    ++out.evaluations;
  }
  out.error = method.error(y, step.h, out.k, out.last);
  return out;
}

}  // namespace altprop::ode
