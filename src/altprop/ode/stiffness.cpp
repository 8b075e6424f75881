#include "altprop/ode/stiffness.h"

#include <cmath>

namespace altprop::ode {

namespace {

std::vector<double> norms_of(const Tensor& x, bool per_sample) {
  // Squares of what grows without bound would not fit into float32.
  const Tensor wide = x.to(at::kDouble);
  if (!per_sample) return {wide.norm().item<double>()};
  const Tensor all = at::linalg_vector_norm(wide.reshape({x.size(0), -1}), 2, {1}).to(at::kCPU);
  const double* const from = all.const_data_ptr<double>();
  return {from, from + all.numel()};
}

}  // namespace

std::vector<double> stiffness_of(const Scheme& method, const TimeStep& step, const Tensor& y,
                                 const StepResult& result, const Field* f) {
  const int last = method.stages() - 1;
  const bool end_known = result.last.slope.defined(), stage_known = method.c(last) == 1;
  if (method.carries_slope() || (!f && !(end_known && stage_known))) return {};
  const Length h = step.length();
  const Tensor end = method.state(result.end), stage = method.stage_state(y, h, result.k, last);
  const Moment at_end = end_time(step, y);
  const Tensor at_end_slope = end_known ? result.last.slope : (*f)(at_end, end).slope,
               at_stage_slope = stage_known ? result.k[static_cast<size_t>(last)].slope
                                            : (*f)(at_end, stage).slope;
  const bool per_sample = step.each != nullptr;
  const std::vector<double> rise = norms_of(h.times(at_end_slope - at_stage_slope), per_sample),
                            run = norms_of(end - stage, per_sample);
  std::vector<double> out;
  for (size_t n = 0; n < rise.size(); ++n) {
    const double seen = run[n] > 0 ? rise[n] / run[n] : 0;
    out.push_back(std::isfinite(seen) ? seen : 0);
  }
  return out;
}

double stiffness_bound(const Scheme& method) {
  const auto* table = dynamic_cast<const Tableau*>(&method);
  return table ? table->stability_bound() : 0;
}

void StiffnessTest::take(double seen, double bound) {
  if (is_stiff() || bound == 0) return;
  // Of steps at the bound some are a little shorter.
  constexpr double kNear = 0.9;
  if (seen > kNear * bound) {
    ++at_bound_;
    others_ = 0;
  } else if (++others_ == kOthers) {
    at_bound_ = 0;
  }
}

}  // namespace altprop::ode
