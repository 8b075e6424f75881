// Where ensembles of drawn networks go as members are added, against where the trained network
// says.
//
// The network in training takes hidden spikes as independent. Those of a tick are not: neurons that
// read the same input spikes fire together. An ensemble's class sums over its members are the mean
// of independent draws, whose deviation falls like 1 / sqrt(members), of a law whose mean is not
// the network's. Their root mean square distance from the network's class sums is therefore
//
//   sqrt(a^2 + b^2 / members)
//
// and a is what no number of members takes away: what independence misses, and with it the Gaussian
// for sums of few axons, and leaks that are no whole numbers.
#pragma once

#include <optional>
#include <utility>
#include <vector>

namespace altprop::cores {

struct EnsembleLimit {
  double rest = 0;    ///< a
  double spread = 0;  ///< b
};

/// By least squares of the squared distances, each relative to itself.
/// @param distances of sizes: members, and the root mean square distance of such ensembles
/// @returns none for fewer than two sizes, or distances that are not all positive
std::optional<EnsembleLimit> ensemble_limit(
    const std::vector<std::pair<int64_t, double>>& distances);

}  // namespace altprop::cores
