// What a convolution's taps reach: with it the convolution's derivative of an error that is the
// same at all positions is a product of matrices.
#pragma once

#include "altprop/network/graph.h"

namespace altprop {

/// Which positions of the input each tap of a kernel reaches: the input credit of a convolution
/// whose output credit is one everywhere and whose kernel is that tap alone. The credit of a
/// spatially constant error e through a bank D of kernels is (e D) coverage.
/// @param input  shape of a sample, [C, positions...]
/// @param kernel shape of one output channel's part of the weight, [C, taps...]
/// @returns [taps, positions]
Tensor kernel_coverage(const Node& convolution, IntArrayRef input, IntArrayRef kernel);

}  // namespace altprop
