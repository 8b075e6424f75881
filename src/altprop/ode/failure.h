// How integrations end that do not reach their end: one sentence that names time, step, sample and
// what to do.
#pragma once

#include <string>

#include "altprop/ode/stiffness.h"

namespace altprop::ode {

struct Where {
  double t;
  int64_t step;         ///< from 1; 0: the begin
  int64_t sample = -1;  ///< place in the batch where samples have steps of their own
};

/// What is known of the steps in front of a failure.
struct Stiffness {
  double seen = 0;   ///< |lambda| h of the last one; 0: not known
  double bound = 0;  ///< that the solver can take; 0: not known
  bool found = false;
};

[[noreturn]] void fail_not_finite(const Where& where);
[[noreturn]] void fail_underflow(const Where& where, const Scheme& method,
                                 const Stiffness& stiffness);
[[noreturn]] void fail_too_many(const Where& where, int64_t max_steps, double goal,
                                const Scheme& method, const Stiffness& stiffness);

}  // namespace altprop::ode
