// Which samples of a batch count, and by how many points: what has overflowed near a pole is left
// out, and the two guards of the authors' convolutional networks (code of Laborieux & Zenke 2022,
// arXiv 2209.00530), both off unless asked for:
//
//   drop       samples whose free states two more steps move by more than a bound
//   fall back  to the points +radius and -radius, samples whose complex points two more steps move
//              by more than a bound: the geometric mean over these points, as the mean of the
//              logarithms is in the code
//
// A move is a norm over all states of a sample. Samples that are left out count for nothing in a
// gradient, which remains a mean over the whole batch.
#pragma once

#include <functional>

#include "altprop/rules/holomorphic/estimate.h"
#include "altprop/rules/holomorphic/settings.h"

namespace altprop {

/// That both phases are long enough for a nudge to reach every layer. @throws Refusal
void require_enough_steps(const VectorField& field, const HolomorphicSettings& settings);

/// The free equilibrium as the estimate takes it.
struct FreeStates {
  Field states;           ///< numbers that are not finite are zero in samples that are dropped
  Tensor kept;            ///< [B] bool; undefined: all samples
  int64_t unsettled = 0;  ///< samples that are dropped
};

/// The nudged states as the estimate takes them.
struct Answers {
  Circle used;
  Circle whole;  ///< without samples that are left out or use two points, at the points as asked
  Tensor kept;   ///< [B] bool; undefined: all samples
  int64_t overflowed = 0, by_two = 0;  ///< samples
};

/// @param run at the end of its free phase @param drop_above 0: never
FreeStates judge_free(const VectorField& field, const HolomorphicDynamics& run, double drop_above);

/// @param run at the end of its nudged phase under `nudge`
/// @param fallback_above 0: never
/// @param opposite the states of all samples at -radius, asked for if an odd circle needs them
Answers judge_nudged(const VectorField& field, const HolomorphicDynamics& run,
                     const Contour& contour, const ComplexNudge& nudge, const FreeStates& rest,
                     double fallback_above, const std::function<Field()>& opposite);

}  // namespace altprop
