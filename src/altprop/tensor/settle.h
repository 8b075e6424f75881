// The steps of layers that settle: a state is driven by few or many units, and the function of its
// activation is applied to the drive in the same pass. A batch of 50 rows of 512 units is 100 KB,
// and a library does in five calls, each a trip through the cache, what is one here.
//
// Measured on one core of a Xeon with AVX-512, 784-512-10, batch 50, 30 free and 2 x 10 nudged
// steps: see docs/performance.md.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// sigma(a) = f(gain a + shift), f being the identity, a clamp to [low, high], or the sigmoid.
struct Squash {
  enum class Kind { Identity, Clamp, Sigmoid } kind = Kind::Identity;
  float gain = 1, shift = 0, low = 0, high = 1;
};

/// True if the functions below may be called on this tensor: an AVX-512 processor, float32 on the
/// CPU, without gaps. A function of processor, switches (tensor/own_kernels.h), type and layout
/// alone.
bool settle_fits(const Tensor& t);

/// x <- sigma(x). NaN stays NaN, as in all of these.
void squash_(Tensor& x, const Squash& sigma);

/// True if spread_and_squash is the right way: not more than some dozen rows of w.
bool spread_fits(const Tensor& base, const Tensor& x, const Tensor& w);
/// out <- sigma(base + x w), one pass. @param base, out [rows, n], may be the same tensor
/// @param x [rows, k], w [k, n]
void spread_and_squash(Tensor& out, const Tensor& base, const Tensor& x, const Tensor& w,
                       const Squash& sigma);

/// True if gather_into is the right way: few outputs.
bool gather_fits(const Tensor& x, const Tensor& w);
/// out <- x w^T + bias. @param x [rows, n], w [k, n], bias [k] or undefined, out [rows, k]
void gather_into(Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias);

}  // namespace altprop
