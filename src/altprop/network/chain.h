// A network as a chain of blocks, for rules that train or invert one layer at a time.
#pragma once

#include <vector>

#include "altprop/network/graph.h"

namespace altprop {

/// Cuts a network into blocks: an affine operation with the norm, activation and pooling behind it,
/// up to the next affine operation; a flatten in front of an affine operation belongs to that
/// operation's block. A skip connection that stays inside a block is part of it. Each block is a
/// graph with one input and one output that shares the operations of the network; running the
/// blocks in turn is running the network.
/// @throws Refusal naming the connection that passes over a block, or if there are several inputs
/// or outputs
std::vector<Graph> chain(const Graph& net);

}  // namespace altprop
