// The relaxation engine: order, stopping and trace of a fixed-point iteration over the states of a
// network. A rule owns the update of one state; the engine owns the loop.
#pragma once

#include <functional>
#include <vector>

#include "altprop/network/state_graph.h"

namespace altprop {

/// One tensor per state, [B, ...].
using Field = std::vector<Tensor>;

/// The tensors of a field that there are.
std::vector<Tensor*> defined_in(Field& field);

enum class Order {
  Synchronous,  ///< all states from the same old field
  GaussSeidel,  ///< from the outputs to the inputs, each with its newest neighbours: credit arrives
                ///< in one sweep
  RedBlack      ///< states at odd, then at even distance from the outputs
};

/// As many steps with the same weights before copies of these in another layout pay.
constexpr int64_t kManySteps = 8;

struct Stop {
  int64_t steps = 20;  ///< at most
  double tolerance =
      0;  ///< stop when every state moved less than this, relative to 1 + its norm; 0: never early
  int64_t least_steps =
      0;  ///< never stop before: a deep state looks settled before anything has arrived
};

/// What to watch while relaxing.
struct RelaxWatch {
  std::vector<double> residual;  ///< per step: the largest relative move of a state
  std::function<void(int64_t step)>
      before_step;  ///< the field is that of step `step`, not yet updated
  std::function<void(int64_t step)> after_step;
};

struct Relaxed {
  int64_t steps = 0;
  double residual = 0;
  bool converged = false;  ///< the tolerance was reached
};

/// Iterates field[s] <- update(s, field) for every state for which `update` returns a defined
/// tensor (clamped states return none).
Relaxed relax(const StateGraph& graph, Field& field, Order order, const Stop& stop,
              const std::function<Tensor(int state, const Field&)>& update, RelaxWatch* watch = nullptr);

}  // namespace altprop
