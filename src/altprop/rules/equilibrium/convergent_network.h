// A network as equilibrium propagation sees it: states that settle, joined by symmetric edges.
//
//   Phi(x, s) = sum over edges of < s_to , op(s_from) >          s <- sigma(dPhi/ds - beta
//   dLoss/ds)
//
// Every activation of the network makes a state s = sigma(.); the edge into it is what the network
// computes between the nearest states and the activation (affine maps, poolings, sums, dropout: any
// DAG).
// Max pooling right behind an activation moves in front of it, which is the same feed-forward
// function because all admissible activations increase, and the form of Laborieux et al. 2021
// (arXiv 2006.03824): sigma(pool(w * s + b)). Average pooling stays where it is written. A linear
// output is a state without activation under squared error, and a readout outside of the dynamics
// under a cross-entropy.
#pragma once

#include "altprop/network/loss.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/state_graph.h"

namespace altprop {

struct ConvergentNetwork {
  /// Edges lead to the argument of the activation of their state; edges[e].map has no sigma.
  StateGraph graph;
  std::vector<std::shared_ptr<Activation>> sigma;  ///< per state; null: the state is its drive
  int output = -1;                                 ///< state of the network's output
  bool readout = false;  ///< the output is computed from the states and settles with none of them
  /// Per state: steps of the synchronous dynamics until a nudge arrives, 1 where it acts itself; 0
  /// for what does not settle.
  std::vector<int> nudged_after;
  std::vector<char> from_inputs;  ///< per edge: driven by inputs alone, the same in every step
  std::vector<char> bends;        ///< per edge: a pooling whose derivative moves with the states

  /// True for the states of the dynamics.
  bool moves(int state) const { return nudged_after[static_cast<size_t>(state)] > 0; }
  /// Steps until a nudge has reached every state.
  int depth() const;
  /// Operations with parameters of an edge.
  int weights(int edge) const;
  /// The node of an edge's map that is a linear layer, if the edge is that and no more than flatten
  /// and dropout beside it, from one state that settles; else -1.
  int matrix(int edge) const;
  /// True if no edge has more than one: none needs a weight after the signal of its operation.
  bool one_weight_each() const;
  const std::string& name(int state) const { return graph.states[static_cast<size_t>(state)].name; }
};

/// What a network may be made of. Analytic: also of dsilu, whose slope is no function of the state,
/// and softmax pooling, whose derivative bends with it, but not of dropout.
enum class Admitted { Clamped, Analytic };

/// @param readout "auto", "softmax" (demand the readout) or "state" (the output settles with the
/// rest)
/// @throws Refusal with the nearest admissible network where something does not fit
ConvergentNetwork convergent_network(const Graph& net, const Loss& loss,
                                     const std::string& readout = "auto",
                                     Admitted admitted = Admitted::Clamped);

/// A network text like this network that is admissible: bounded activations, no norms, and no
/// dropout where it is not admitted. "" if the network is no chain of operations that texts can
/// name.
std::string nearest_convergent(const Graph& net, Admitted admitted = Admitted::Clamped);

}  // namespace altprop
