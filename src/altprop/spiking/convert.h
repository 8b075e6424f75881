// A trained network of ReLUs as one of first spikes that predicts the same (A. Stanojevic et al.
// 2023, arXiv 2306.08744): every affine map with the ReLU behind it becomes a layer of units with
// constant slope, which share its weights, and the last map a read-out of potentials.
#pragma once

#include "altprop/network/graph.h"

namespace altprop::spiking {

struct Conversion {
  Graph net;
  std::vector<double> windows;  ///< of each layer of spike times, the input's code first
};

/// @param net   a chain of linear and conv2d (without groups and dilation), each but the last
/// followed
///              by relu, with maxpool, flatten, reshape and dropout between, on inputs in [0, 1]
/// @param batch [B, ...] inputs: a layer's window is `margin` times the largest activity on it, so
///              that larger ones, on other samples, fire at once and are cut there
/// @throws Refusal naming the first operation that has no counterpart; UsageError for inputs
/// outside [0, 1] and a margin below 1
Conversion convert_relu_network(const Graph& net, const Tensor& batch, double margin = 1.5);

}  // namespace altprop::spiking
