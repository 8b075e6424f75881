// The signals of a contrast between two settled states: what makes them gradients.
//
//   -[g(plus) - g(minus)] / span,   g(s) = dPhi/dtheta = sum over edges of < s_to,
//   dop(s_from)/dtheta >
//
// Of an edge with one weight the difference of products is sent as dpost x mean(pre) + mean(post) x
// dpre, which is the same number without the cancellation that float32 would suffer from; behind the
// weight, poolings choose for each state by itself. Laborieux et al. 2021, arXiv 2006.03824,
// sections 2 and 3.
#pragma once

#include "altprop/rules/equilibrium/backward_weights.h"
#include "altprop/rules/equilibrium/dynamics.h"

namespace altprop {

class Contrast {
 public:
  /// @param back null: tied weights. All must outlive this
  Contrast(const ConvergentNetwork& net, ConvergentDynamics& dynamics, const BackwardWeights* back);

  /// Two states of the same batch and what lies between their nudges: scale is 1 / batch.
  struct Pair {
    const Field& plus;
    const Field& minus;
    double span;   ///< beta of plus less beta of minus
    double scale;  ///< 1/B
  };
  /// Tied weights.
  void deliver(const Pair& pair, Sink& sink);
  /// Separate weights: credit (plus - minus) / span, input the free state, and the other way round
  /// for the way back ("different updates"; exact for symmetric weights and small nudges only).
  void deliver_vector_field(const Pair& pair, const Field& free, Sink& sink);
  /// One update for both ways: the mean of what the forward and the backward weights' poolings
  /// give, sent to the forward weights (their twins follow).
  void deliver_same_update(const Pair& pair, Sink& sink);
  /// `scale` times the readout's own gradient, summed over the rows of `states`.
  void deliver_readout(const Field& states, const Loss& loss, const Tensor& targets, double scale,
                       Sink& sink);

 private:
  void contrast(size_t edge, const Graph& map, const Pair& pair, double scale, Sink& sink);
  Activity& run(const Graph& map, size_t edge, const Field& states, Activity& activity);

  const ConvergentNetwork& net_;
  ConvergentDynamics& dynamics_;
  const BackwardWeights* back_;
  std::vector<char> bilinear_;  ///< per edge: one weight, no max pooling
  Activity first_, second_;
};

/// Signals for the weights alone of the operations of an edge, with what `tangents` of its parents
/// become in front of each operation in the place of its input. Operations have to be affine with
/// Saved.t = {input}.
/// @param at a pass of the edge, whose poolings are used
void deliver_tangents(const Graph& map, Activity& at, const std::vector<Tensor>& tangents,
                      const Tensor& cot, double scale, Sink& sink);

}  // namespace altprop
