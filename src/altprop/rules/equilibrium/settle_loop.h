// The loop of a phase: steps until states are at rest or the steps are done.
#pragma once

#include <functional>

#include "altprop/rules/relaxation/relax.h"

namespace altprop {

struct StopWhen {
  int64_t steps = 0;        ///< at most
  double tolerance = 0;     ///< no unit moved by this much in a step; 0: never early
  int64_t check_every = 5;  ///< steps between looks at the residual
  bool turn = false;        ///< also measure Settled::turn
};

struct Settled {
  int64_t steps = 0;
  double residual = 0;  ///< largest |move| of a unit in the last step
  double turn = 0;      ///< cosine between the last two moves; near -1: a period of two steps
};

/// @param step takes one and, if asked to measure, returns the largest |move| of a unit
/// @param copy the states as they are, to keep; for Settled::turn
Settled settle_loop(const StopWhen& stop, const std::function<double(bool measure)>& step,
                    const std::function<Field()>& copy);

}  // namespace altprop
