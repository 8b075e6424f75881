// tanh in place, a bias added on the way. An own kernel, because libtorch's takes 4 ns a number on
// a core with AVX2 (2.13, Sleef to one unit in the last place), which is as long as the product in
// front of it where layers are small; this one takes 0.4.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// x <- tanh(x + bias), to six units in the last place, in [-1, 1]; NaN stays NaN.
/// @param x any shape; with a bias [rows, n] @param bias [n] or undefined: 0
void apply_tanh_(Tensor& x, const Tensor& bias = {});

}  // namespace altprop
