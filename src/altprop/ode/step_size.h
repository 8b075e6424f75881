// How long steps are: a fixed number of equal ones, or such that the estimated error stays below a
// tolerance (E. Hairer, S. Norsett, G. Wanner, "Solving Ordinary Differential Equations I", 1993,
// section II.4).
#pragma once

#include "altprop/ode/step.h"

namespace altprop::ode {

struct StepSizes {
  int64_t steps = 0;                ///< equal steps; 0: adaptive
  double rtol = 1e-3, atol = 1e-6;  ///< as SciPy's solve_ivp; the state's unit is atol's
  double first_step = 0;            ///< of the adaptive ones, in units of time; 0: estimated
  int64_t max_steps = 10'000;       ///< steps tried, rejected ones too, before giving up
};

/// Root of the mean square of value / (atol + rtol size), over all elements of the whole batch.
double scaled_norm(const Tensor& value, const Tensor& size, const StepSizes& sizes);

/// The algorithm of Hairer, Norsett, Wanner II.4 for the first step. Takes one evaluation.
/// @param direction 1 or -1 @returns positive
double first_step(const Tableau& method, const Field& f, double t, const Tensor& x,
                  const Tensor& slope, int direction, const StepSizes& sizes);

/// What the integral (I) controller multiplies h by, given the scaled error of the step that was
/// tried: 0.9 err^(-1/p) in [0.2, 10], not below 1 where the step was accepted (err <= 1).
double next_factor(double error, int order);

}  // namespace altprop::ode
