// The networks that CorInfoMax is defined for: a chain of dense layers without biases whose
// activations name the domains of the rates. Bozkurt, Pehlevan, Erdogan, NeurIPS 2023, arXiv
// 2306.04810, sections 2 and 3.
#pragma once

#include "altprop/network/graph.h"

namespace altprop {

/// Where the rates of a layer live: hard-sigmoid names the box [0, 1]^n, relu the non-negative
/// rates whose sum is held at 1 or below by a multiplier.
enum class RateDomain { AntiSparse, Sparse };

struct DenseLayer {
  const Node* node;      ///< of the affine map
  const Op* affine;      ///< its weight is W_ff [n_out, n_in]
  RateDomain domain;

  int64_t size() const { return node->spec.shape[0]; }
  const Tensor& weight() const { return affine->weight()->value; }
};

/// The layers from the inputs to the outputs. An output without an activation takes the domain of
/// the layer below it.
/// @throws Refusal naming what does not fit and a network that does
std::vector<DenseLayer> dense_chain(const Graph& net);

}  // namespace altprop
