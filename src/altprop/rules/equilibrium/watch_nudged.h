// How a nudge spreads, for the instruments: the credit that states hold after every nudged step,
//
//   -(s_plus - s_minus) / span
//
// against the exact one, and against what backpropagation through as many steps would bring. For
// small nudges from rest the two are the same step by step (M. Ernoult et al. 2019, arXiv
// 1905.13633).
#pragma once

#include "altprop/rules/equilibrium/adjoint.h"
#include "altprop/rules/settling.h"

namespace altprop {

struct NudgedPhase {
  const Field& free;  ///< where it starts, [B, ...] per state
  const Nudge& nudge;
  const Tensor& targets;  ///< of the B samples
  int64_t phases;         ///< 2: the rows of the dynamics are those of +beta, then of -beta
  double span;            ///< beta of the first phase less that of the second, or of rest
  int64_t steps;
};

/// Takes the steps of a nudged phase whose rows are stacked, and looks at them.
Settling watch_nudged(const ConvergentNetwork& net, const BackwardWeights* back,
                      ConvergentDynamics& dynamics, const NudgedPhase& phase);

}  // namespace altprop
