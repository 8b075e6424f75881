// Inference as a descent: whether its energy rises, from which step on, and with which step size it
// would not.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "altprop/rules/relaxation/value_relaxation.h"

namespace altprop {

/// A step of inference that raised the energy by more than rounding explains.
struct EnergyRise {
  int64_t step = 0;  ///< counted from 1
  double before = 0, after = 0;

  /// As a sentence of predictive coding.
  std::string text() const;
};

/// True if `after` is above `before` by more than rounding explains, or no number.
bool rises(const ValueRelaxation& values, double before, double after);

/// Repeats `step`, which moves the values, and looks at the energy after each. Values and
/// predictions are left as the last step left them.
/// @param seen called after each look
std::optional<EnergyRise> first_rise(ValueRelaxation& values, int64_t steps,
                                     const std::function<void()>& step,
                                     const std::function<void(int64_t step)>& seen = {});

/// A step size of at most `most` with which no step raises the energy, tried out on the batch
/// itself; 0 if there is none above a thousandth of it.
/// @param begin puts the values back to where inference begins
/// @param step  moves them by a step of this size
/// @param curvature the largest at the present values
double settling_step(ValueRelaxation& values, int64_t steps, double most,
                     const std::function<void()>& begin, const std::function<void(double)>& step,
                     const std::function<double()>& curvature);

/// "0.3289": rounded down, so that it stays a bound.
std::string rounded_down(double step);

}  // namespace altprop
