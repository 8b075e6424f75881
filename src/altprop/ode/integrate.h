// Integration from one time to another with an explicit Runge-Kutta method: the one stepper that
// forward passes, their repetitions and the continuous adjoint share.
#pragma once

#include <span>

#include "altprop/ode/step_size.h"

namespace altprop::ode {

/// Costs of one integration.
struct Costs {
  int64_t evaluations = 0;             ///< of f
  int64_t accepted = 0, rejected = 0;  ///< steps
};

/// An accepted step, told to whoever records steps.
struct Accepted {
  int64_t number;       ///< from 0
  double t, h;          ///< of its begin; h < 0 backwards in time
  const Tensor& begin;  ///< x_n
  StepResult& result;   ///< may be moved from, except for `end` and `last`
};
using Observer = std::function<void(Accepted)>;

/// One step of a record.
struct TimeStep {
  double t, h;
};

/// dx/dt = f(t, x) from t0 to t1, which may be smaller.
/// @param observe called after every accepted step; may be null
/// @returns x(t1)
/// @throws UsageError if the method estimates no error and the number of steps is not given,
/// Diverged naming time and step if the state is not finite, the step size underflows or there are
/// more than max_steps steps
Tensor integrate(const Tableau& method, const Field& f, Tensor x, double t0, double t1,
                 const StepSizes& sizes, const Observer& observe, Costs* costs = nullptr);

/// The same along steps that are given, as they were accepted before.
Tensor integrate_along(const Tableau& method, const Field& f, Tensor x,
                       std::span<const TimeStep> steps, const Observer& observe,
                       Costs* costs = nullptr);

}  // namespace altprop::ode
