// Relaxation by rows of the batch: no sample's states depend on another sample, so every thread can
// relax rows of its own from the first step to the last. Threads that share the products of a step
// instead meet after each of them, and at batch 64 a product takes not much longer than the
// meeting.
#pragma once

#include <functional>

#include "altprop/rules/relaxation/linear_relaxation.h"
#include "altprop/rules/relaxation/state_pass.h"

namespace altprop {

class RowBlocks {
 public:
  /// @param pass of the whole batch, before its first forward pass
  explicit RowBlocks(const StatePass& pass) : whole_(pass) {}

  /// True where blocks are possible and worth it: several threads on the CPU, rows for all of them,
  /// and no operation that mixes samples or draws for them. While libtorch's recorder is on, what
  /// it sees is the batch as a whole.
  bool fit(const Step& step) const;

  /// Rows of the batch, [first, first + count).
  struct Block {
    StatePass& pass;  ///< after its forward pass
    Step step;        ///< inputs, targets and output of the rows
    int64_t first, count;

    /// A view of these rows. @param whole [B, ...], undefined stays so
    Tensor of(const Tensor& whole) const {
      return whole.defined() ? whole.narrow(0, first, count) : whole;
    }
    Field of(const Field& whole) const;
  };
  /// Calls `work` for all blocks at once, each on a thread of its own.
  void run(const Step& step, const std::function<void(size_t index, Block&)>& work);
  /// How many blocks `run` makes.
  static size_t number();

 private:
  StatePass whole_;
  std::vector<StatePass> passes_;
};

/// LinearRelaxation::iterate without an early stop, by rows. @param whole frozen at the batch's
/// forward pass with `feedback`
void iterate_by_rows(RowBlocks& blocks, const Step& step, const LinearRelaxation& whole,
                     HopFeedback& feedback, Field& u, Order order, double eta, int64_t steps);

}  // namespace altprop
