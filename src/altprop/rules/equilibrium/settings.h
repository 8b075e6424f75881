// The options of equilibrium propagation.
#pragma once

#include <string>

#include "altprop/base/options.h"
#include "altprop/rules/equilibrium/dynamics.h"
#include "altprop/rules/learner.h"

namespace altprop {

struct EquilibriumSettings {
  std::string estimator = "symmetric", dynamics = "alternating", start = "zero", readout = "auto",
              weights = "tied";
  double beta = 0.5, epsilon = 0.5, tolerance = 0;
  int64_t free_steps = 20, nudged_steps = 10, check_every = 5;
  bool continual = false;

  void declare(Options& o);
  /// For Learner::unread.
  std::vector<Unread> unread() const;
  /// @throws UsageError, Refusal if options do not go together
  void check() const;
  /// True if the estimate is made by nudging.
  bool nudges() const { return estimator != "implicit" && estimator != "bptt"; }
  Timing timing() const;
  StopWhen stop(int64_t steps) const {
    return {.steps = steps, .tolerance = tolerance, .check_every = check_every};
  }
};

}  // namespace altprop
