// What event-driven hardware does in a layer of spike times: one operation for each spike that
// reaches a unit for which it still counts.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop::spiking {

/// An operation whose synapses carry spikes says how many they carry.
class CountsSynapticEvents {
 public:
  virtual ~CountsSynapticEvents() = default;
  /// @param arrivals [B, ...] times of the inputs, +inf: never
  /// @param out      [B, ...] what the operation has made of them
  /// @returns float64 [B], by sample the pairs of a spike and a unit that it reaches
  virtual Tensor synaptic_events(const Tensor& arrivals, const Tensor& out) const = 0;
};

}  // namespace altprop::spiking
