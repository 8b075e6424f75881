// The exact gradient of the loss at the free equilibrium, by implicit differentiation:
//
//   lambda = (I - D J^T)^-1 D dLoss/ds,   D = diag sigma'(a),  J = da/ds;   dLoss/dtheta =
//   (da/dtheta)^T lambda
//
// (Almeida 1987, Pineda 1987). The term (D J^T)^t D dLoss/ds is what backpropagation through the
// synchronous dynamics at the equilibrium brings t steps back (Ernoult et al. 2019, arXiv
// 1905.13633).
#pragma once

#include "altprop/rules/equilibrium/contrast.h"

namespace altprop {

class Adjoint {
 public:
  /// @param back null: tied weights
  /// @param masks of the batch that begins. All must outlive this
  Adjoint(const ConvergentNetwork& net, const BackwardWeights* back, const EdgeMasks& masks)
      : net_(net), back_(back), masks_(masks) {}

  /// @param states all of them, inputs too, settled without nudge
  void begin(const Field& states, const Loss& loss, const Tensor& targets);
  /// The same derivatives at other states of the same batch, and without a loss.
  void move_to(const Field& states);
  /// dLoss/ds, where the loss reads a state.
  const Field& push() const { return push_; }
  /// D dLoss/ds.
  Field source() const { return sloped(push_); }
  /// J^T v; undefined where nothing comes back.
  Field pull(const Field& v);
  /// D J^T v.
  Field transport(const Field& v) { return sloped(pull(v)); }
  /// D v.
  Field sloped(Field v) const;
  /// lambda by damped iteration, until no entry moves by more than `tolerance` of the source's
  /// largest, or `most` times. Converges wherever the alternating dynamics does, too.
  Field solve(double tolerance, int64_t most);
  /// (da/dtheta)^T lambda, the readout's own gradient apart. Both uses of tied weights.
  void deliver(const Field& lambda, double scale, Sink& sink);

 private:
  std::vector<Tensor> parents(const Field& field, const StateGraph::Edge& edge) const;
  Tensor run(size_t edge);

  const ConvergentNetwork& net_;
  const BackwardWeights* back_;
  const EdgeMasks& masks_;
  Field states_, slope_, push_;
  std::vector<Activity> forward_, backward_;
};

}  // namespace altprop
