// What a trained density says of the space of its samples: draws from it, and a map of the plane.
#pragma once

#include <nlohmann/json.hpp>

#include "altprop/train/experiment.h"

namespace altprop {

/// Draws from the density of a flow, as its data are stored (not normalised), float64 on the CPU.
/// Sample i depends on the seed and i, as far as adaptive steps do, which a thousand samples share.
/// @returns [n, ...sample]. @throws Refusal if the network is no flow, Diverged if it cannot be
/// integrated backwards
Tensor samples_of(Experiment& experiment, int64_t n, uint64_t seed);

/// The density on a grid that holds the training samples, for flows of two values: `from` and `to`
/// (of each axis, as stored), `density` (rows from the lowest second value), `samples` (some
/// training samples) and `integral`, the share of all probability that the grid holds. Null for
/// other networks, or where the flow cannot be integrated.
nlohmann::json density_map(Experiment& experiment, int64_t cells = 64);

}  // namespace altprop
