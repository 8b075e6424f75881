// What the units of a network of spike times do on a batch: how many fire, when, and how early its
// answer is there.
#pragma once

#include <string>
#include <vector>

#include "altprop/network/graph.h"

namespace altprop {

struct FiringRow {
  std::string name;   ///< of the operation
  int64_t units = 0;  ///< of one sample
  // Of units that do not fire (potentials that are read as real values) these four are NaN.
  double spikes = 0;  ///< mean number of units of a sample that fire
  double silent = 0;  ///< share of units, over samples, that do not
  double dead = 0;    ///< share of units that fire for no sample of the batch
  double median = 0;  ///< time of the spikes; NaN if there are none
  /// Synaptic operations of a sample, mean and deviation over samples: spikes that reach a unit for
  /// which they count (spiking/synaptic_events.h), what event-driven hardware computes. 0 of
  /// operations without synapses; NaN of foreign ones that have weights and do not say.
  double events = 0, events_deviation = 0;
};

/// Where a network that decides by its first output spike stands after some time.
struct Anytime {
  std::vector<double> times;     ///< ascending, of the batch's first output spikes
  std::vector<double> accuracy;  ///< share of all samples that have decided by then, and rightly
};

/// Per operation that makes spike times or counts them, in the order of the forward pass; empty if
/// there is none. Operations that only move them about (flatten) are left out.
std::vector<FiringRow> firing(const Graph& net, const Tensor& inputs);

/// Empty unless the output is spike times [B, C] and targets are class numbers [B].
Anytime anytime_accuracy(const Graph& net, const Tensor& inputs, const Tensor& targets,
                         int64_t points = 20);

}  // namespace altprop
