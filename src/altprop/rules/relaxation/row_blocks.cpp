#include "altprop/rules/relaxation/row_blocks.h"

namespace altprop {

void RowBlocks::run(const Step& step, const Work& work) {
  const int64_t n = number(step);
  passes_.resize(static_cast<size_t>(n), whole_);
  for_row_blocks(step.batch(), n, [&](const RowBlock& block) {
    StatePass& pass = passes_[static_cast<size_t>(block.index)];
    Step part = step;
    part.inputs = block.of(step.inputs);
    part.targets = block.of(step.targets);
    part.ids = block.of(step.ids);
    pass.forward(part, block.first);
    work(block, pass, part);
    pass.release();
  });
}

void iterate_by_rows(RowBlocks& blocks, const Step& step, const LinearRelaxation& whole,
                     HopFeedback& feedback, Field& u, Order order, double eta, int64_t steps) {
  blocks.run(step, [&](const RowBlock& block, StatePass& pass, const Step&) {
    LinearRelaxation part(pass.graph());
    part.set_rates(whole.rates());
    part.freeze(pass.activity(), feedback, block.of(whole.output_credit()));
    Field rows;
    for (const Tensor& t : u) rows.push_back(block.of(t));
    part.iterate(rows, order, eta, {.steps = steps});
  });
}

}  // namespace altprop
