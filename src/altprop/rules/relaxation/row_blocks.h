// Relaxation by rows of the batch (tensor/row_blocks.h).
#pragma once

#include "altprop/rules/relaxation/linear_relaxation.h"
#include "altprop/rules/relaxation/state_pass.h"
#include "altprop/tensor/row_blocks.h"

namespace altprop {

class RowBlocks {
 public:
  /// @param pass of the whole batch, before its first forward pass
  explicit RowBlocks(const StatePass& pass) : whole_(pass) {}

  /// Blocks for a batch; 1 also where an operation mixes samples or draws for the whole batch.
  int64_t number(const Look& look) const {
    return whole_.by_samples() ? number_of_row_blocks(look.inputs) : 1;
  }
  /// Calls `work` for all blocks at once, each with a pass of its own after its forward pass and
  /// the output of its rows.
  using Work = std::function<void(const RowBlock& block, StatePass& pass, const Tensor& output)>;
  void run(const Look& look, const Work& work);

 private:
  StatePass whole_;
  std::vector<StatePass> passes_;
};

/// LinearRelaxation::iterate without an early stop, by rows. @param whole frozen at the batch's
/// forward pass with `feedback`
void iterate_by_rows(RowBlocks& blocks, const Look& look, const LinearRelaxation& whole,
                     HopFeedback& feedback, Field& u, Order order, double eta, int64_t steps);

}  // namespace altprop
