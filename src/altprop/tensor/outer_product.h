// Sums of outer products, a b with a [n, k] and b [k, m] for the few k of a batch: how every weight
// gradient of an affine map is made. An own kernel, because a library's product can only be added
// to its target, while here the optimizer's step rides along in the same pass over memory.
//
// Measured on one core of a Xeon with AVX-512, batch 64, 784-500-500-10, in turns with MKL: the
// same time for the product alone (0.59 ms); 0.87 of the time for product and momentum's step
// together (0.69 to 0.79 ms), and 0.6 of it while other programs use the memory.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// True if the kernel can take these operands: an AVX-512 processor; float32 on the CPU; `a` the
/// transpose of rows that lie side by side, `b` of such rows, `out` dense; k at most 512. A
/// function of processor, switches (tensor/own_kernels.h), shapes and layout alone.
bool outer_product_fits(const Tensor& out, const Tensor& a, const Tensor& b);

/// out = keep * out + scale * a b. The result does not depend on the number of threads.
void outer_product_into(Tensor& out, const Tensor& a, const Tensor& b, double keep, double scale);

/// What momentum does with a gradient.
struct MomentumStep {
  double momentum;
  double decay;  ///< weight decay
  double rate;
};

/// average = momentum * average + scale * a b + decay * value; value -= rate * average, in one
/// pass.
/// @param average fits with a and b; value [n, m] dense like it
void outer_product_step(Tensor& average, Tensor& value, const Tensor& a, const Tensor& b,
                        double scale, const MomentumStep& step);

}  // namespace altprop
