// Other ways than fixed small steps to follow the flow dv/dt = -dE/dv of predictive coding.
#pragma once

#include "altprop/rules/relaxation/value_relaxation.h"

namespace altprop {

/// One step of Heun's method (the trapezoidal rule with an Euler step as predictor), second order.
/// Leaves credits as `refresh` does.
void heun_step(ValueRelaxation& values, double step);

struct AdaptiveHeun {
  double time = 20;  ///< to integrate to
  double first_step = 0.1;
  double tolerance = 1e-3;  ///< of a step's error, absolute and relative
  double at_rest =
      0;  ///< end when every force is below this part of 1 + its state's norm; 0: never
  int64_t most_steps = 100'000;  ///< accepted and rejected
};
struct Integrated {
  double time = 0;    ///< reached
  int64_t steps = 0;  ///< accepted
  int64_t rejected = 0;
  bool whole = false;  ///< the time was reached, or the states came to rest before
};
/// Heun's method with steps chosen from the difference to Euler's (as in JPC, Innocenti et al.
/// 2024, arXiv 2412.03676, with a proportional-integral controller). Leaves credits as `refresh`
/// does.
Integrated integrate(ValueRelaxation& values, const AdaptiveHeun& settings);

}  // namespace altprop
