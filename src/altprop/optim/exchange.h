// What learners that share a task tell each other: the seam for data-parallel training (gradients
// are averaged at every step) and for local steps with averaged values (federated averaging).
#pragma once

#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// Called by the updater in every `apply`. All take part with the same parameters in the same
/// order, so that the n-th tensor of one is the n-th of the others; flat buffers make them few.
/// What is changed is changed in place. Both do nothing by default.
///
/// Optimizers' averages and the state of a direction are not exchanged: each keeps its own. With
/// equal gradients the averages are equal, too.
struct Exchange {
  virtual ~Exchange() = default;

  /// The gradients of a group, between what makes them and what bounds them:
  ///
  ///   signals -> Direction::finish -> here -> clip, sign -> step -> `values`
  ///
  /// Before clipping, because a bound on the norm is meant for the gradient of all samples, and a
  /// mean of bounded gradients is another thing. Behind the direction, because its memory is of the
  /// own samples (and may not be the same as that of the others): what it makes of them is
  /// exchanged, so that all take the same step and values stay equal.
  ///
  /// Signals are scaled by 1 over the size of the own batch: for the gradient of all samples the
  /// mean over participants is to be put in place, weighted where batches differ.
  virtual void gradients(const std::string& group, const std::vector<Tensor>& tensors) {}

  /// The values of a group after its step.
  virtual void values(const std::string& group, const std::vector<Tensor>& tensors) {}
};

}  // namespace altprop
