// The options of holomorphic equilibrium propagation.
#pragma once

#include <string>

#include "altprop/base/options.h"
#include "altprop/rules/equilibrium/settle_loop.h"
#include "altprop/rules/learner.h"

namespace altprop {

struct HolomorphicSettings {
  int64_t points = 4;
  double radius = 0.4;
  std::string estimator = "nudged", form = "auto", readout = "auto", weights = "tied", edges;
  double angle = 90;
  int64_t free_steps = 60, nudged_steps = 20, check_every = 5;
  double tolerance = 1e-6, damping = 1, noise = 0;
  bool oscillating = false;
  int64_t periods = 3;
  double homeostasis = 0;
  int64_t draws = 5;
  bool correction = false;
  double drop_above = 0, fallback_above = 0;

  void declare(Options& o);
  /// For Learner::unread.
  std::vector<Unread> unread() const;
  /// @throws UsageError or Refusal for combinations that mean nothing
  void check() const;
  StopWhen stop(int64_t steps, bool turn = false) const {
    return {.steps = steps, .tolerance = tolerance, .check_every = check_every, .turn = turn};
  }
  /// Of the nudged phase: infinitesimal nudges move nothing that could be seen.
  StopWhen stop_nudged() const;
  bool tied() const { return weights == "tied" && edges.empty(); }
  bool energy_form() const { return form == "energy" || (form == "auto" && tied()); }
};

}  // namespace altprop
