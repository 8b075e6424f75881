#include "altprop/rules/relaxation/row_blocks.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

namespace altprop {

namespace {
constexpr int64_t kLeastRows = 8;  ///< of a block: below, products do not fill the vector units
}

size_t RowBlocks::number() { return static_cast<size_t>(at::get_num_threads()); }

bool RowBlocks::fit(const Step& step) const {
  const auto blocks = static_cast<int64_t>(number());
  return blocks > 1 && !at::in_parallel_region() && step.inputs.device().is_cpu() &&
         step.batch() >= blocks * kLeastRows && !whole_.replays() && !at::hasThreadLocalCallbacks();
}

Field RowBlocks::Block::of(const Field& whole) const {
  Field out;
  for (const Tensor& t : whole) out.push_back(of(t));
  return out;
}

void RowBlocks::run(const Step& step, const std::function<void(size_t, Block&)>& work) {
  const size_t n = number();
  passes_.resize(n, whole_);
  const auto blocks = static_cast<int64_t>(n);
  at::parallel_for(0, blocks, 1, [&](int64_t from, int64_t to) {
    const at::NoGradGuard no_grad;  // a matter of the thread
    for (int64_t b = from; b < to; ++b) {
      StatePass& pass = passes_[static_cast<size_t>(b)];
      const int64_t first = step.batch() * b / blocks, end = step.batch() * (b + 1) / blocks;
      Block block{pass, step, first, end - first};
      block.step.inputs = block.of(step.inputs);
      block.step.targets = block.of(step.targets);
      block.step.ids = block.of(step.ids);
      pass.forward(block.step);
      work(static_cast<size_t>(b), block);
      pass.release();
    }
  });
}

void iterate_by_rows(RowBlocks& blocks, const Step& step, const LinearRelaxation& whole,
                     HopFeedback& feedback, Field& u, Order order, double eta, int64_t steps) {
  blocks.run(step, [&](size_t, RowBlocks::Block& block) {
    LinearRelaxation part(block.pass.graph());
    part.set_rates(whole.rates());
    part.freeze(block.pass.activity(), feedback, block.of(whole.output_credit()));
    Field rows = block.of(u);
    part.iterate(rows, order, eta, {.steps = steps});
  });
}

}  // namespace altprop
