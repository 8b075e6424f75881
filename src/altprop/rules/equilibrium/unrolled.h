// Backpropagation through the last steps of a free phase, the baseline of M. Ernoult et al. 2019,
// arXiv 1905.13633, and A. Laborieux et al. 2021, arXiv 2006.03824: the exact gradient of the loss
// after so many steps, with the states before them held fixed. Every step is a copy of the network;
// with new states sigma(e a(s) + k s) the credits mu of the states go back by
//
//   v = D mu,   mu <- e J(s)^T v + k v,   dLoss/dtheta += e (da/dtheta)^T v
//
// turn by turn where states take turns; e = 1 and k = 0 except under gradient flow.
#pragma once

#include "altprop/rules/equilibrium/adjoint.h"

namespace altprop {

class Unrolled {
 public:
  /// @param back null: tied weights. All must outlive this
  Unrolled(const ConvergentNetwork& net, const BackwardWeights* back, ConvergentDynamics& dynamics)
      : net_(net), dynamics_(dynamics), adjoint_(net, back, dynamics.masks()) {}

  /// Takes free steps and keeps the states before each turn: `steps` times the memory of the
  /// states.
  void take_steps(int64_t steps);
  /// Signals for all weights but the readout's own.
  void deliver(const Loss& loss, const Tensor& targets, double scale, Sink& sink);

 private:
  const ConvergentNetwork& net_;
  ConvergentDynamics& dynamics_;
  Adjoint adjoint_;
  std::vector<Field> before_;  ///< per turn, the oldest first
};

}  // namespace altprop
