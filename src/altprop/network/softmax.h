// Softmax cross-entropy of a classifier's last layer, one pass over each row instead of a library
// call per operation. A batch of 64 rows of 10 numbers is all overhead: of a step of 3.0 ms on one
// core (784-500-500-10, under the profiler) a dozen library calls took 0.15 ms, and these passes
// nothing that could be seen.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// True for float32 or float64 rows on the CPU, side by side and few enough that one thread is
/// right, with int64 class numbers. Elsewhere the library's vectorised calls are faster.
bool softmax_rows_fit(const Tensor& output, const Tensor& classes);

/// -log softmax(output)[class] per row, [B]. Class numbers have to be in range.
Tensor softmax_loss(const Tensor& output, const Tensor& classes);

/// softmax(output) - onehot(class), [B, C]. Class numbers have to be in range.
Tensor softmax_loss_gradient(const Tensor& output, const Tensor& classes);

/// Number of rows whose first largest number is that of the class; any tensors that `argmax` takes.
int64_t count_right(const Tensor& output, const Tensor& classes);

/// Smallest and largest class number, on the CPU. @param classes not empty
std::pair<int64_t, int64_t> range_of(const Tensor& classes);

}  // namespace altprop
