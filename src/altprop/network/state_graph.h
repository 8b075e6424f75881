// The same network as states and edges, for rules that relax the values of layers: a state is the
// value of a chosen node, an edge is the sub-graph that predicts it from the nearest states above.
//
//   StateGraph g = states(net, Cut::Blocks);
//   for (const StateGraph::Edge& edge : g.edges) ... edge.map is a Graph with edge.from as inputs
//
// Edges share the operations, and so the parameters, of the network they were cut from, and their
// signals name its sites.
#pragma once

#include <string>
#include <vector>

#include "altprop/network/graph.h"

namespace altprop {

/// Where states are placed.
///
///   Blocks         what enters an affine operation: the value behind activation, norm and pooling
///                  (v = f(W v' + b)); a flatten in front of the operation is part of its edge; and
///                  what an operation says is a value to hold (Traits::holds_state)
///   PreActivation  what enters an activation: v = W f(v') + b; refused where an op holds states
///   EveryNode      the output of every operation (of those that only rearrange, where credit goes)
///
/// In all cases inputs and outputs are states, and so is every value that several edges would
/// compute from parameters or from a random mask: each parameter belongs to exactly one edge.
enum class Cut { Blocks, PreActivation, EveryNode };

struct StateGraph {
  struct State {
    std::string name;  ///< of the node whose value it is
    Spec spec;
    int node;  ///< its number in the network
    bool input, output;
  };
  /// Predicts one state. `map` has one input per entry of `from`, in that order, and one output.
  struct Edge {
    Graph map;
    std::vector<int> from;  ///< states, ascending, each once
    int to = -1;            ///< state
    std::vector<int> node;  ///< per node of `map`: its number in the network
  };

  std::vector<State> states;  ///< in topological order
  std::vector<Edge> edges;    ///< one per state that is no input, in the order of the states

  /// The edge that predicts a state; -1 for inputs.
  int edge_to(int state) const;
  /// States that a state is predicted from.
  const std::vector<int>& parents(int state) const;
  /// Edges that read a state.
  std::vector<int> edges_from(int state) const;
  /// States that are predicted from a state.
  std::vector<int> children(int state) const;
  /// Per state: edges on the longest, or shortest, way to an output; -1 where there is none.
  std::vector<int> hops_to_output(bool longest = true) const;
  /// True if all ways from a state to the outputs are equally long, for every state.
  bool levelled() const;

  /// Lets the edges' signals name places of the network. @param sites per node of what was cut
  void stand_at(const std::vector<int>& sites);

  /// Values of all states in a forward pass: inputs, then every edge in turn. Random masks are
  /// those of Graph::run of the whole network.
  /// @param activity one per edge, resized here
  std::vector<Tensor> run(std::span<const Tensor> inputs, std::vector<Activity>& activity,
                          const Pass& pass) const;
};

/// The same network with identity states on short ways, so that all ways from a hidden state to the
/// outputs are equally long (Salvatori et al. 2021 do so for zero-divergence inference learning).
/// What passes through one arrives unchanged, a hop later.
StateGraph level(const StateGraph& graph);

/// Graphs inside the network are spliced in first; numbers of nodes are then those of
/// Graph::flattened().
/// @throws Refusal if the network has no output, the cut does not fit its operations, or one of
/// them is made of parts in another way
StateGraph states(const Graph& net, Cut cut);

}  // namespace altprop
