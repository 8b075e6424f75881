// Losses of spike times, +inf of a unit that never fires.
//
// A silent unit stands in the loss at a time of its own, `silent_at`, and the gradient of its
// output is that at this time: the wish that it should fire, which layers of spike times take or
// leave (a silent unit's own derivative is zero). Times that are finite are never clamped, however
// late: a clamped time has no gradient, and the outputs would fall over the edge one after the
// other.
#pragma once

#include "altprop/network/loss.h"

namespace altprop {

/// -log softmax(-kappa t)[class], or of rows of probabilities their cross-entropy with it. Its
/// prediction is the softmax, and the class is right whose unit fires first.
/// (Mostafa 2017, arXiv 1606.08165, eq. 3.1; Zhang et al. 2020, arXiv 2003.11837.)
/// @throws UsageError unless kappa > 0 and silent_at is finite
std::unique_ptr<Loss> make_spike_cross_entropy(const SpikeLossSettings& settings);

/// 1/2 sum_j (t_j - t*_j)^2, with t* the times that are the targets or, of class numbers, `early`
/// for the class and `late` for the others. @throws UsageError unless early < late, both finite
std::unique_ptr<Loss> make_spike_squared_error(const SpikeLossSettings& settings);

}  // namespace altprop
