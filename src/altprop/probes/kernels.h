// The arithmetic of a training step, as the matrix products and convolutions it really performs.
//
// They are seen by libtorch's call recorder, so any rule is counted without the rule, or this file,
// knowing of it: feedback products, mirror phases, relaxation sweeps. What the recorder does not
// see is not counted: work per value (activations, norms, updates), and products that neither go
// through libtorch's dispatcher nor announce themselves as the own kernels do.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// One matrix product or convolution, without its operands.
struct Kernel {
  enum class Kind { Product, Forward, InputCredit, WeightGradient };  ///< the last three of a conv
  Kind kind = Kind::Product;
  int64_t batch = 1, rows = 0, inner = 0,
          columns = 0;                 ///< Product: batch x [rows, inner] [inner, columns]
  std::vector<int64_t> input, weight;  ///< convolutions: shapes
  std::vector<int64_t> stride, padding, dilation, output_padding;
  bool transposed = false;
  int64_t groups = 1;

  double flops() const;  ///< a multiply-add counts as 2
  /// The same for equal work, e.g. "product 64x784x500", a product and its transpose being equal.
  std::string name() const;
};

struct CountedKernel {
  Kernel kernel;
  int64_t count = 0;
};

/// What `work` calls, on this thread and on those that take rows of its batches, each kernel once
/// with its number of calls. `work` runs as it does when nobody counts.
std::vector<CountedKernel> count_kernels(const std::function<void()>& work);

double flops_of(const std::vector<CountedKernel>& kernels);

}  // namespace altprop
