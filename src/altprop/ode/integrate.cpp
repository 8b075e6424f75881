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
    "lower the time T or raise the tolerances, and lower the learning rate if training has led here";

bool all_finite(const Tensor& x) { return x.isfinite().all().item<bool>(); }

[[noreturn]] void not_finite(double t, int64_t step) {
  throw Diverged(text::cat("ode: the state is not finite at time ", text::from_number(t),
                           ", in step ", step,
                           "; lower the time T or take more steps, and lower the learning rate if "
                           "training has led here"));
}

/// Looks at the end of all steps alone: what is not finite once stays so, because every step adds
/// to the state. Only then it is found out where it began.
void expect_finite(const Scheme& method, const Field& f, Tensor y, std::span<const TimeStep> steps,
                   const Tensor& end) {
  if (all_finite(end)) return;
  if (!all_finite(y)) not_finite(steps.empty() ? 0 : steps[0].t, 0);
  int64_t number = 0;
  for (const TimeStep& step : steps) {
    ++number;
    y = take_step(method, f, step, y, nullptr, false).end;
    if (!all_finite(y)) not_finite(step.t + step.h, number);
  }
  not_finite(steps.back().t + steps.back().h, number);
}

/// What is carried at the begin.
Tensor carried_at_begin(const Scheme& method, const Field& f, const Tensor& x, double t0,
                        const Journey& journey) {
  if (!method.carries_slope()) return method.carry(x, {});
  Evaluation first = f(t0, x);
  ++journey.costs.evaluations;
  Tensor y = method.carry(x, first.slope);
  if (journey.first) *journey.first = std::move(first);
  return y;
}

struct Adaptive {
  const Scheme& method;
  const Field& f;
  const StepSizes& sizes;
  const Journey& journey;

  Costs& costs = journey.costs;
  Controller controller{sizes.control, method.error_order()};
  Tensor y = {};
  Evaluation first = {};  ///< f at the state, of methods that begin there
  double t = 0, h = 0;
  int direction = 1;
  int64_t tried = 0;

  Tensor run(const Tensor& x, double t0, std::span<const Stop> stops) {
    if (!all_finite(x)) not_finite(t0, 0);
    direction = stops.back().time < t0 ? -1 : 1;
    t = t0;
    first = f(t0, x);
    ++costs.evaluations;
    y = method.carry(x, first.slope);
    h = sizes.first_step;
    if (h == 0) {
      h = ode::first_step(method, f, t0, x, first.slope, direction, sizes);
      ++costs.evaluations;
    }
    if (!std::isfinite(h) || !all_finite(first.slope)) not_finite(t0, 1);
    h = bounded(h);
    if (method.carries_slope() && journey.first) *journey.first = std::move(first);
    for (const Stop& stop : stops) {
      if (!go_to(stop, &stop == &stops.back())) {
        ++costs.cut;
        break;
      }
    }
    return y;
  }

  double bounded(double length) const {
    if (sizes.max_step > 0) length = std::min(length, sizes.max_step);
    return std::max(length, sizes.min_step);
  }

  [[noreturn]] void too_many(double goal) const {
    throw Diverged(text::cat("ode: after ", sizes.max_steps,
                             " steps, rejected ones among "
                             "them, time ",
                             text::from_number(t), " of ", text::from_number(goal),
                             " is reached, in step ", costs.accepted + 1, "; ", kTooStiff,
                             ", or raise max-steps"));
  }

  /// @returns false if it gave up on the way, as return_early says
  bool go_to(const Stop& stop, bool is_last) {
    const double goal = stop.time;
    while (t != goal) {
      const double left = std::abs(goal - t);
      const bool clipped = h >= left;
      const double length = clipped ? left : h;
      const double end = clipped ? goal : t + direction * length;
      if (end == t)
        throw Diverged(text::cat("ode: the step size underflows at time ", text::from_number(t),
                                 ", in step ", costs.accepted + 1, "; ", kTooStiff));
      if (tried++ == sizes.max_steps) {
        if (sizes.return_early) return false;
        too_many(goal);
      }
      const TimeStep step{t, direction * length, clipped ? stop.output : -1, clipped && stop.jump};
      StepResult result =
          take_step(method, f, step, y, method.begins_at_state() ? &first : nullptr, true);
      costs.evaluations += result.evaluations;
      const Tensor size = at::maximum(method.state(y).abs(), method.state(result.end).abs());
      const double error = scaled_norm(result.error, size, sizes);
      // A trial step that is far too long may overflow where the solution does not.
      const bool finite = std::isfinite(error) && all_finite(result.end);
      const bool least = length <= sizes.min_step;
      if (finite && (error <= 1 || least)) {
        if (journey.watch_noise) watch(length, result, size);
        if (journey.observe)
          journey.observe({costs.accepted, t, step.h, y, result, step.output, step.jump});
        ++costs.accepted;
        y = result.end;
        t = end;
        if (method.begins_at_state() && !(t == goal && is_last)) next_first(result, step.jump);
        h = bounded(std::max(clipped ? h : 0.0, length * controller.factor(error)));
      } else {
        ++costs.rejected;
        h = length * (finite ? controller.factor(error) : 0.2);
        if (finite) h = bounded(h);
        if (!finite && t + direction * h == t) not_finite(t, costs.accepted + 1);
      }
    }
    return true;
  }

  void next_first(StepResult& result, bool behind_jump) {
    if (method.first_same_as_last() && !behind_jump) {
      first = std::move(result.last);
    } else {
      first = f(t, method.state(y));
      ++costs.evaluations;
    }
  }

  void watch(double length, const StepResult& result, const Tensor& size) {
    if (const auto* table = dynamic_cast<const Tableau*>(&method))
      costs.noise = std::max(
          costs.noise, rounding_noise(*table, length, result.k, result.last, size, sizes));
  }
};

}  // namespace

void Costs::add(const Costs& other) {
  evaluations += other.evaluations;
  accepted += other.accepted;
  rejected += other.rejected;
  repeated += other.repeated;
  cut += other.cut;
  noise = std::max(noise, other.noise);
}

Tensor travel_along(const Scheme& method, const Field& f, const Tensor& x,
                    std::span<const TimeStep> steps, const Journey& journey) {
  Costs& count = journey.costs;
  const Tensor begin = carried_at_begin(method, f, x, steps.empty() ? 0 : steps[0].t, journey);
  Tensor y = begin;
  for (const TimeStep& step : steps) {
    StepResult result = take_step(method, f, step, y, nullptr, false);
    count.evaluations += result.evaluations;
    if (journey.observe)
      journey.observe({count.accepted, step.t, step.h, y, result, step.output, step.jump});
    ++count.accepted;
    y = std::move(result.end);
  }
  expect_finite(method, f, begin, steps, y);
  return y;
}

Tensor travel(const Scheme& method, const Field& f, const Tensor& x, double t0,
              std::span<const Stop> stops, const StepSizes& sizes, const Journey& journey) {
  if (sizes.steps == 0) {
    if (!method.estimates_error())
      throw UsageError("solver '" + method.name() +
                       "' has no estimate of its error: say how many steps it takes, as in "
                       "steps=8, or use dopri5");
    return Adaptive{method, f, sizes, journey}.run(x, t0, stops);
  }
  std::vector<TimeStep> steps;
  const double n = static_cast<double>(sizes.steps);
  double from = t0;
  for (const Stop& stop : stops) {
    const double length = stop.time - from;
    for (int64_t i = 0; i < sizes.steps; ++i)
      steps.push_back({from + length * (static_cast<double>(i) / n), length / n});
    steps.back().output = stop.output;
    steps.back().jump = stop.jump;
    from = stop.time;
  }
  return travel_along(method, f, x, steps, journey);
}

Tensor integrate_along(const Scheme& method, const Field& f, const Tensor& x,
                       std::span<const TimeStep> steps, const Observer& observe, Costs* costs) {
  Costs unused;
  return method.state(
      travel_along(method, f, x, steps, {.observe = observe, .costs = costs ? *costs : unused}));
}

Tensor integrate(const Scheme& method, const Field& f, const Tensor& x, double t0, double t1,
                 const StepSizes& sizes, const Observer& observe, Costs* costs) {
  Costs unused;
  const Stop stop{t1};
  return method.state(travel(method, f, x, t0, {&stop, 1}, sizes,
                             {.observe = observe, .costs = costs ? *costs : unused}));
}

}  // namespace altprop::ode
