// How decided the synapses of a network of neuromorphic cores are: drawn networks differ by those
// whose probability is neither 0 nor 1.
#pragma once

#include <string>
#include <vector>

#include "altprop/network/graph.h"

namespace altprop {

struct ConnectionRow {
  std::string name;      ///< of the layer of cores
  int64_t synapses = 0;
  double distance = 0;   ///< mean distance of the connections from the nearer of 0 and 1, 0 to 1/2
  double half_way = 0;   ///< share of them between 0.1 and 0.9
};

/// Per layer of cores, in the order of the forward pass; empty if there is none.
std::vector<ConnectionRow> connections(const Graph& net);

/// The same of all synapses together, without a name; there is at least one layer.
ConnectionRow all_connections(const std::vector<ConnectionRow>& layers);

}  // namespace altprop
