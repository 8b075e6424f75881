#include "altprop/ode/step.h"

#include "altprop/network/graph.h"

namespace altprop::ode {

Tensor combine(const Tensor& x, double h, const std::vector<Evaluation>& k, int n,
               const std::function<double(int)>& weight) {
  Tensor out;
  for (int j = 0; j < n; ++j) {
    const double w = weight(j);
    if (w == 0) continue;
    const Tensor& slope = k[static_cast<size_t>(j)].slope;
    if (out.defined()) {
      out.add_(slope, h * w);
    } else {
      out = at::add(x, slope, h * w);
    }
  }
  return out.defined() ? out : x;
}

Tensor stage_state(const Tableau& method, const Tensor& x, double h,
                   const std::vector<Evaluation>& k, int i) {
  return combine(x, h, k, i, [&](int j) { return method.a(i, j); });
}

std::vector<Evaluation> evaluate_stages(const Tableau& method, const Field& f, double t, double h,
                                        const Tensor& x, int stages, const Evaluation* first) {
  std::vector<Evaluation> k;
  for (int i = 0; i < stages; ++i) {
    if (i == 0 && first) {
      k.push_back(*first);
    } else {
      k.push_back(f(t + method.c(i) * h, stage_state(method, x, h, k, i)));
    }
  }
  return k;
}

StepResult take_step(const Tableau& method, const Field& f, double t, double h, const Tensor& x,
                     const Evaluation* first, bool with_error) {
  const int s = method.stages();
  StepResult out;
  out.k = evaluate_stages(method, f, t, h, x, s, first);
  out.evaluations = s - (first ? 1 : 0);
  // Of methods whose last row of a is b, this is that row: the state at which `last` is evaluated.
  out.end = combine(x, h, out.k, s, [&](int i) { return method.b(i); });
  if (!with_error) return out;
  if (method.first_same_as_last()) {
    out.last = f(t + h, out.end);
    ++out.evaluations;
  }
  for (int i = 0; i < method.rows(); ++i) {
    if (method.d(i) == 0) continue;
    const Tensor& slope = i < s ? out.k[static_cast<size_t>(i)].slope : out.last.slope;
    out.error = out.error.defined() ? out.error.add_(slope, h * method.d(i))
                                    : at::mul(slope, h * method.d(i));
  }
  return out;
}

}  // namespace altprop::ode
