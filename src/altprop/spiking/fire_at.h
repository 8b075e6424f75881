// Weights by the data: each layer's are moved so that its median unit fires when it is asked to.
#pragma once

#include "altprop/network/graph.h"

namespace altprop::spiking {

/// Adds one number to all weights of each relpsp-event layer, in their order, so that over the
/// units and samples of a batch the median unit first fires `after` its sample's first input of
/// that layer (half of the units earlier, half later or never). A layer's potential is linear in
/// that number, and its first crossing falls with it, so that halving an interval finds it.
/// @returns number of layers
/// @throws UsageError if no input of a layer fires on this batch, or if no number is found
int fire_at(Graph& net, const Tensor& batch, double after);

}  // namespace altprop::spiking
