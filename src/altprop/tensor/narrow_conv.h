// The credit of a convolution's input where the input has few channels, as behind the first layer
// of a LeNet. Libraries put the input's channels side by side in a vector, so that with 6 of them
// ten of 16 lanes are idle; here a vector holds a row of the window, all its columns and channels,
// which lie side by side in memory.
//
// Measured on one core of a Xeon with AVX-512, 6 channels of 14 x 14, 16 of 10 x 10, window 5 x 5:
// see docs/performance.md.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// True if narrow_credit may be called, and is the right way: an AVX-512 processor; float32 on the
/// CPU; `credit` [B, out, h, w] stored with channels last; a window row of at most 64 numbers, of
/// at most 12 channels. A function of processor, switches (tensor/own_kernels.h), shapes and layout
/// alone. For convolutions of stride 1, dilation 1 and one group.
/// @param weight [out, in, kh, kw]
bool narrow_credit_fits(const Tensor& credit, const Tensor& weight, int64_t padding);

/// The credit of the input, [B, in, h + kh - 1 - 2 padding, w + kw - 1 - 2 padding], stored with
/// channels last. The result does not depend on the number of threads.
Tensor narrow_credit(const Tensor& credit, const Tensor& weight, int64_t padding);

}  // namespace altprop
