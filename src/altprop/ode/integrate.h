// Integration from one time to another with an explicit one-step method: the one stepper that
// forward passes, their repetitions and the continuous adjoint share.
#pragma once

#include <span>

#include "altprop/ode/step_size.h"

namespace altprop::ode {

/// Costs of one integration, or of several.
struct Costs {
  int64_t evaluations = 0;             ///< of f
  int64_t accepted = 0, rejected = 0;  ///< steps
  int64_t repeated = 0;  ///< in a reverse pass: steps taken again to find a state that was not kept
  int64_t cut = 0;       ///< integrations that ended early, after max_steps
  /// Largest rounding_noise of an accepted step, where that was asked for.
  double noise = 0;

  void add(const Costs& other);
};

/// An accepted step, told to whoever records steps.
struct Accepted {
  int64_t number;       ///< from 0
  double t, h;          ///< of its begin; h < 0 backwards in time
  const Tensor& begin;  ///< y_n
  StepResult& result;   ///< may be moved from, except for `end` and `last`
  int output = -1;      ///< of TimeStep
  bool jump = false;
  TimeStep step() const { return {t, h, output, jump}; }
};
using Observer = std::function<void(Accepted)>;

/// A time at which a step has to end.
struct Stop {
  double time;
  int output = -1;    ///< number of the output that is read there; -1: none
  bool jump = false;  ///< f jumps there
};

/// dx/dt = f(t, x) from t0 to t1, which may be smaller.
/// @param observe called after every accepted step; may be null
/// @returns x(t1)
/// @throws UsageError if the method estimates no error and the number of steps is not given,
/// Diverged naming time and step if the state is not finite, the step size underflows or there are
/// more than max_steps steps
Tensor integrate(const Scheme& method, const Field& f, const Tensor& x, double t0, double t1,
                 const StepSizes& sizes, const Observer& observe, Costs* costs = nullptr);

/// The same along steps that are given, as they were accepted before.
Tensor integrate_along(const Scheme& method, const Field& f, const Tensor& x,
                       std::span<const TimeStep> steps, const Observer& observe,
                       Costs* costs = nullptr);

/// What a journey is told beside f.
struct Journey {
  const Observer& observe;
  Costs& costs;
  /// Filled with f at the begin where the method carries it; may be null.
  Evaluation* first = nullptr;
  bool watch_noise = false;  ///< also fill Costs::noise
};

/// From t0 through all stops in turn, in one direction. Equal steps: `steps` to each stop.
/// @returns what is carried, at the last stop
Tensor travel(const Scheme& method, const Field& f, const Tensor& x, double t0,
              std::span<const Stop> stops, const StepSizes& sizes, const Journey& journey);
Tensor travel_along(const Scheme& method, const Field& f, const Tensor& x,
                    std::span<const TimeStep> steps, const Journey& journey);

}  // namespace altprop::ode
