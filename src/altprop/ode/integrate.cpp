#include "altprop/ode/integrate.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/graph.h"

namespace altprop::ode {

namespace {

constexpr const char* kTooStiff =
    "the equation may be too stiff for an explicit method or its solution grow without bound: "
    "lower the learning rate or the time T, or raise the tolerances";

bool all_finite(const Tensor& x) { return x.isfinite().all().item<bool>(); }

[[noreturn]] void not_finite(double t, int64_t step) {
  throw Diverged(text::cat("ode: the state is not finite at time ", text::from_number(t),
                           ", in step ", step,
                           "; lower the learning rate or the time T, or take "
                           "more steps"));
}

/// Looks at the end of all steps alone: what is not finite once stays so, because every step adds
/// to the state. Only then it is found out where it began.
void expect_finite(const Tableau& method, const Field& f, Tensor x, std::span<const TimeStep> steps,
                   const Tensor& end) {
  if (all_finite(end)) return;
  if (!all_finite(x)) not_finite(steps.empty() ? 0 : steps[0].t, 0);
  int64_t number = 0;
  for (const TimeStep& step : steps) {
    ++number;
    x = take_step(method, f, step.t, step.h, x, nullptr, false).end;
    if (!all_finite(x)) not_finite(step.t + step.h, number);
  }
  not_finite(steps.back().t + steps.back().h, number);
}

struct Adaptive {
  const Tableau& method;
  const Field& f;
  const StepSizes& sizes;
  const Observer& observe;
  Costs& costs;

  Tensor run(Tensor x, double t0, double t1) {
    const int direction = t1 < t0 ? -1 : 1;
    if (!all_finite(x)) not_finite(t0, 0);
    Evaluation first = f(t0, x);
    ++costs.evaluations;
    double h = sizes.first_step;
    if (h == 0) {
      h = first_step(method, f, t0, x, first.slope, direction, sizes);
      ++costs.evaluations;
    }
    if (!std::isfinite(h) || !all_finite(first.slope)) not_finite(t0, 1);
    double t = t0;
    int64_t tried = 0;
    while (t != t1) {
      const double left = std::abs(t1 - t);
      const bool clipped = h >= left;
      const double length = clipped ? left : h;
      const double end = clipped ? t1 : t + direction * length;
      if (end == t)
        throw Diverged(text::cat("ode: the step size underflows at time ", text::from_number(t),
                                 ", in step ", costs.accepted + 1, "; ", kTooStiff));
      if (tried++ == sizes.max_steps)
        throw Diverged(text::cat("ode: after ", sizes.max_steps,
                                 " steps, rejected ones among "
                                 "them, time ",
                                 text::from_number(t), " of ", text::from_number(t1),
                                 " is reached, in step ", costs.accepted + 1, "; ", kTooStiff,
                                 ", or raise max-steps"));
      StepResult step = take_step(method, f, t, direction * length, x, &first, true);
      costs.evaluations += step.evaluations;
      const double error = scaled_norm(step.error, at::maximum(x.abs(), step.end.abs()), sizes);
      // A trial step that is far too long may overflow where the solution does not.
      const bool finite = std::isfinite(error) && all_finite(step.end);
      if (finite && error <= 1) {
        if (observe) observe({costs.accepted, t, direction * length, x, step});
        ++costs.accepted;
        x = step.end;
        t = end;
        if (t != t1) {
          if (method.first_same_as_last()) {
            first = std::move(step.last);
          } else {
            first = f(t, x);
            ++costs.evaluations;
          }
        }
        h = std::max(clipped ? h : 0.0, length * next_factor(error, method.order()));
      } else {
        ++costs.rejected;
        h = length * (finite ? next_factor(error, method.order()) : 0.2);
        if (!finite && t + direction * h == t) not_finite(t, costs.accepted + 1);
      }
    }
    return x;
  }
};

}  // namespace

Tensor integrate_along(const Tableau& method, const Field& f, Tensor x,
                       std::span<const TimeStep> steps, const Observer& observe, Costs* costs) {
  Costs unused;
  Costs& count = costs ? *costs : unused;
  const Tensor begin = x;
  for (const TimeStep& step : steps) {
    StepResult result = take_step(method, f, step.t, step.h, x, nullptr, false);
    count.evaluations += result.evaluations;
    if (observe) observe({count.accepted, step.t, step.h, x, result});
    ++count.accepted;
    x = std::move(result.end);
  }
  expect_finite(method, f, begin, steps, x);
  return x;
}

Tensor integrate(const Tableau& method, const Field& f, Tensor x, double t0, double t1,
                 const StepSizes& sizes, const Observer& observe, Costs* costs) {
  Costs unused;
  Costs& count = costs ? *costs : unused;
  if (sizes.steps > 0) {
    std::vector<TimeStep> steps;
    const double n = static_cast<double>(sizes.steps), h = (t1 - t0) / n;
    for (int64_t i = 0; i < sizes.steps; ++i)
      steps.push_back({t0 + (t1 - t0) * (static_cast<double>(i) / n), h});
    return integrate_along(method, f, std::move(x), steps, observe, &count);
  }
  if (!method.estimates_error())
    throw UsageError("solver '" + method.name() +
                     "' has no estimate of its error: say how many steps it takes, as in steps=8, "
                     "or use dopri5");
  return Adaptive{method, f, sizes, observe, count}.run(std::move(x), t0, t1);
}

}  // namespace altprop::ode
