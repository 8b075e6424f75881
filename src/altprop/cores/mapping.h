// A trained network as what the hardware holds: cores with axons, types, tables of strengths,
// connections and leaks. From here on nothing knows of layers and tensors of a graph.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "altprop/cores/limits.h"
#include "altprop/network/graph.h"

namespace altprop::cores {

/// Where an axon's spikes come from.
struct AxonSource {
  int64_t core = -1;   ///< -1: from outside
  int64_t index = -1;  ///< neuron of that core, or input of the network; -1: nothing ever comes
  bool operator==(const AxonSource&) const = default;
};

struct MappedCore {
  std::vector<AxonSource> axons;
  std::vector<int> types;                              ///< by axon, 0 to 3
  std::vector<std::array<int, kAxonTypes>> strengths;  ///< by neuron and type
  /// Probability that a synapse is there, float32 [neurons, axons], contiguous; of a network that
  /// has been drawn 0 or 1.
  Tensor connections;
  std::vector<double> leaks;  ///< by neuron

  int64_t neurons() const { return static_cast<int64_t>(strengths.size()); }
};

/// A neuron whose spikes are counted.
struct Vote {
  int64_t core, neuron, of_class;
  bool operator==(const Vote&) const = default;
};

struct Mapping {
  std::vector<int64_t> input_shape;  ///< of a sample
  /// A core reads inputs and cores that come before it.
  std::vector<MappedCore> cores;
  std::vector<Vote> votes;
  int64_t classes = 0;
  bool fire_on_zero = false;  ///< a neuron fires at a sum of 0, too

  int64_t inputs() const { return Spec{input_shape}.numel(); }
  int64_t neurons() const;
  int64_t synapses() const;
};

/// All that the hardware asks for: sizes of cores, types, whole strengths within bounds, leaks,
/// probabilities, and that every neuron goes to one place.
/// @throws Refusal naming core, axon or neuron
void validate(const Mapping& mapping);

/// Of a network that is a chain of layers of cores and class sums (operations that only move
/// numbers, and dropout, may stand between).
/// @throws Refusal naming the node that no core can hold, and as validate
Mapping mapping_of(const Graph& net);

}  // namespace altprop::cores
