// Separate weights for the way back: an edge with its own backward weights W_b in the orientation
// of the forward ones. Feedback through it is the derivative of the edge made with W_b, at the
// state it reaches, so that poolings point where W_b * s is largest. Edges from inputs and the
// readout have no way back. Scellier, Goyal, Binas, Mesnard, Bengio 2018, arXiv 1808.04873;
// Laborieux et al. 2021, arXiv 2006.03824 (convolutions, Kolen-Pollack pairs).
#pragma once

#include "altprop/rules/equilibrium/convergent_network.h"
#include "altprop/rules/rule.h"

namespace altprop {

/// The operation with this weight and without bias. @throws Refusal that names the node if there is
/// none
OpPtr with_weight(const Node& node, const ParamPtr& weight);

class BackwardWeights {
 public:
  /// Draws W_b uniformly, with the root mean square of the forward weight.
  /// @param twins they step exactly as the forward weights (Kolen-Pollack)
  BackwardWeights(const ConvergentNetwork& net, const Stream& stream, bool twins);

  struct Pair {
    std::string name;  ///< of the operation
    ParamPtr forward, backward;
  };
  const std::vector<Pair>& pairs() const { return pairs_; }
  /// W_b of all pairs, for Learner::owned.
  std::vector<ParamPtr> params() const;
  /// W_b against W of all pairs, for Rule::feedback.
  std::vector<FeedbackFact> facts() const;
  /// The edge with W_b and without biases, node for node as the forward one; null if it has none.
  const Graph* map(int edge) const {
    return has_[static_cast<size_t>(edge)] ? &maps_[static_cast<size_t>(edge)] : nullptr;
  }

 private:
  std::vector<Graph> maps_;  ///< per edge
  std::vector<char> has_;
  std::vector<Pair> pairs_;
};

}  // namespace altprop
