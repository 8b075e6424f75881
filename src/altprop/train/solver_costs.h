// What the adaptive solvers of a network have cost in the training steps of an epoch.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "altprop/ode/block.h"
#include "altprop/tensor/state_io.h"

namespace altprop {

/// One tally for each ODE block with adaptive steps, by the name of the first site where it stands.
/// Blocks with equal steps cost what they cost, and are left out.
class SolverCosts {
 public:
  explicit SolverCosts(const Graph& net);

  /// While it lives, passes through the blocks are counted.
  class Watch {
   public:
    explicit Watch(const SolverCosts& costs);
    ~Watch();
    Watch(const Watch&) = delete;

   private:
    const SolverCosts& costs_;
  };

  /// Of each block that was passed: steps accepted and rejected in a forward pass (where samples have
  /// steps of their own, for each sample), the most accepted ones, and evaluations of f in a forward
  /// and in a reverse pass.
  std::vector<std::pair<std::string, double>> figures() const;
  /// A new epoch.
  void clear();
  /// Of the epoch in progress.
  void state(StateIO io);

 private:
  struct Counted {
    std::string name;
    ode::Block* block;
    std::shared_ptr<ode::Tally> tally;
  };
  std::vector<Counted> blocks_;
};

}  // namespace altprop
