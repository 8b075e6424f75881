#include "altprop/network/chain.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/state_graph.h"

namespace altprop {

namespace {

/// Name of the operation through which the edge reads its `input`-th source.
std::string reader(const StateGraph::Edge& edge, size_t input) {
  const int source = edge.map.input_nodes()[input];
  return edge.map.node(edge.map.consumers()[static_cast<size_t>(source)].front()).name;
}

[[noreturn]] void refuse_skip(const StateGraph& g, int from, const std::string& reader) {
  throw Refusal("network",
                "the connection from '" + g.states[static_cast<size_t>(from)].name + "' to '" +
                    reader + "' passes over a block, so that the network is no chain of blocks",
                "use a network without skip connections across layers");
}

}  // namespace

std::vector<Graph> chain(const Graph& net) {
  net.output_node();
  if (net.input_nodes().size() != 1)
    throw Refusal("network", text::cat("it has ", net.input_nodes().size(), " inputs"),
                  "use a network with one input");
  StateGraph g = states(net, Cut::Blocks);
  std::vector<Graph> blocks;
  for (StateGraph::Edge& edge : g.edges) {
    // States are in topological order: in a chain each is predicted from the one before it.
    for (size_t i = 0; i < edge.from.size(); ++i)
      if (edge.from[i] != edge.to - 1) refuse_skip(g, edge.from[i], reader(edge, i));
    blocks.push_back(std::move(edge.map));
  }
  return blocks;
}

}  // namespace altprop
