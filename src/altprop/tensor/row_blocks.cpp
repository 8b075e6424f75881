#include "altprop/tensor/row_blocks.h"

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>
#include <ATen/core/grad_mode.h>

namespace altprop {

namespace {
constexpr int64_t kLeastRows = 8;  ///< of a block: below, products do not fill the vector units
thread_local int wanting_whole = 0;
}  // namespace

WholeBatches::WholeBatches() { ++wanting_whole; }
WholeBatches::~WholeBatches() { --wanting_whole; }
bool WholeBatches::wanted() { return wanting_whole > 0; }

int64_t number_of_row_blocks(const Tensor& batch) {
  const int64_t threads = at::get_num_threads();
  const bool worth = !at::in_parallel_region() && batch.device().is_cpu() &&
                     batch.size(0) >= threads * kLeastRows && !WholeBatches::wanted();
  return worth ? threads : 1;
}

void for_row_blocks(int64_t rows, int64_t blocks,
                    const std::function<void(const RowBlock&)>& work) {
  const at::ThreadLocalState caller;
  at::parallel_for(0, blocks, 1, [&](int64_t from, int64_t to) {
    const at::ThreadLocalStateGuard as_caller(caller);
    const at::NoGradGuard no_grad;
    for (int64_t b = from; b < to; ++b) {
      const int64_t first = rows * b / blocks;
      work({b, first, rows * (b + 1) / blocks - first});
    }
  });
}

}  // namespace altprop
