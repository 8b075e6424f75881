// Work by rows of a batch: where samples do not depend on each other through many small steps,
// every thread takes rows of its own from the first step to the last. Threads that share the
// products of a step meet after each of them, and at batch 64 a product takes not much longer than
// the meeting.
#pragma once

#include <functional>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// Rows [first, first + count) of a batch.
struct RowBlock {
  int64_t index, first, count;
  /// A view of these rows. @param whole [rows, ...], undefined stays so
  Tensor of(const Tensor& whole) const {
    return whole.defined() ? whole.narrow(0, first, count) : whole;
  }
  /// A view of these samples where several rows, `batch` apart, belong to each:
  /// [k batch, ...] -> [k, count, ...].
  Tensor of_samples(const Tensor& whole, int64_t batch) const {
    return whole.unflatten(0, {whole.size(0) / batch, batch}).narrow(1, first, count);
  }
};

/// While one lives, work on this thread is not divided by rows, and kernels that take many steps in
/// one call stand aside: for instruments that are to see batches as a whole, product by product.
class WholeBatches {
 public:
  WholeBatches();
  ~WholeBatches();
  WholeBatches(const WholeBatches&) = delete;
  WholeBatches& operator=(const WholeBatches&) = delete;
  static bool wanted();
};

/// How many blocks the rows of a batch are worth: as many as threads, or 1 where there are too few
/// rows, on a GPU, inside of parallel work, and where whole batches are wanted.
int64_t number_of_row_blocks(const Tensor& batch);

/// Calls `work` for that many blocks of almost equal size, all at once, each on a thread of its own
/// with what libtorch knows of the calling thread (its recorder, say), without gradients of its.
void for_row_blocks(int64_t rows, int64_t blocks, const std::function<void(const RowBlock&)>& work);

}  // namespace altprop
