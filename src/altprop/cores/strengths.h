// Axon types and tables of strengths: what a synapse does to a neuron's sum where there is one.
// They are drawn once, and never trained.
#pragma once

#include "altprop/cores/layout.h"
#include "altprop/tensor/random.h"

namespace altprop::cores {

/// Permuted: each of the four types equally often over the axons of a core, in random order, and
/// all 24 permutations of (-2, -1, 1, 2) dealt evenly to the neurons of a core, in random order
/// (Esser et al. 2015). Signs: types in order, +1 and -1 by turns (UA-RCL/RANC).
enum class StrengthKind { Permuted, Signs };

struct Strengths {
  Tensor types;    ///< int64 [cores, axons], 0 to 3
  Tensor synapse;  ///< float32 [neurons of all cores, axons]: table[neuron][type of the axon]
};

Strengths draw_strengths(const CoreLayout& layout, StrengthKind kind, const Stream& stream);

}  // namespace altprop::cores
