// One sample's spikes, for a plot of all layers over network time.
#pragma once

#include <string>
#include <vector>

#include "altprop/network/graph.h"

namespace altprop::spiking {

struct RasterRow {
  std::string name;            ///< of the operation
  std::vector<int64_t> units;  ///< numbers of those shown, ascending
  std::vector<double> times;   ///< +inf: never
};

/// Of every operation that makes spike times, in the order of the forward pass.
/// @param sample [1, ...]
/// @param most units of an operation that are shown, evenly spaced
std::vector<RasterRow> raster(const Graph& net, const Tensor& sample, int64_t most = 100);

}  // namespace altprop::spiking
