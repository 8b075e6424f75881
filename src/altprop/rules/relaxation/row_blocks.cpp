#include "altprop/rules/relaxation/row_blocks.h"

namespace altprop {

void RowBlocks::run(const Look& look, const Work& work) {
  const int64_t n = number(look);
  passes_.resize(static_cast<size_t>(n), whole_);
  for_row_blocks(look.rows(), n, [&](const RowBlock& block) {
    StatePass& pass = passes_[static_cast<size_t>(block.index)];
    const Tensor output = pass.forward(look.part(block.first, block.count));
    work(block, pass, output);
    pass.release();
  });
}

void iterate_by_rows(RowBlocks& blocks, const Look& look, const LinearRelaxation& whole,
                     HopFeedback& feedback, Field& u, Order order, double eta, int64_t steps) {
  blocks.run(look, [&](const RowBlock& block, StatePass& pass, const Tensor&) {
    LinearRelaxation part(pass.graph());
    part.set_rates(whole.rates());
    part.freeze(pass.activity(), feedback, block.of(whole.output_credit()));
    Field rows;
    for (const Tensor& t : u) rows.push_back(block.of(t));
    part.iterate(rows, order, eta, {.steps = steps});
  });
}

}  // namespace altprop
