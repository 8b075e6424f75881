#include "altprop/network/state_graph.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/index.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

/// Operations that hold a layer's weights: where an edge of Cut::Blocks begins.
bool starts_block(const Op& op) {
  const Traits traits = op.traits();
  return traits.affine || op.weight() || !traits.substitutable;
}

class Cutter {
 public:
  Cutter(const Graph& net, Cut cut) : net_(net), is_state_(net.nodes().size(), 0) {
    for (int i : net.input_nodes()) is_state_[at(i)] = 1;
    for (int o : net.output_nodes()) is_state_[at(o)] = 1;
    used_.assign(net.nodes().size(), 0);
    for (int o : net.output_nodes()) mark_used(o);
    for (const Node& node : net.nodes()) {
      if (!node.op || !used_[at(node.id)]) continue;
      if (cut == Cut::EveryNode &&
          (net.needs_credit()[at(node.id)] || !node.op->traits().rearranges))
        is_state_[at(node.id)] = 1;
      if (cut == Cut::Blocks && enters_block(node.id) && behind_weight(node))
        is_state_[at(node.id)] = 1;
      if (cut == Cut::Blocks && node.op->traits().holds_state) is_state_[at(node.id)] = 1;
      if (cut == Cut::PreActivation && node.op->traits().holds_state)
        throw Refusal("node '" + node.name + "'",
                      text::cat("its activations are part of '", node.op->type(),
                                "', so that no value enters them"),
                      "use states behind the activations (pc.values=post)");
      if (cut == Cut::PreActivation && starts_block(*node.op))
        is_state_[at(end_of_preactivation(node.id))] = 1;
    }
    give_every_parameter_one_owner();
  }

  bool is_state(int node) const { return is_state_[at(node)]; }

 private:
  void mark_used(int node) {
    std::vector<int> open = {node};
    while (!open.empty()) {
      const int id = open.back();
      open.pop_back();
      if (used_[at(id)]) continue;
      used_[at(id)] = 1;
      for (int i : net_.node(id).inputs) open.push_back(i);
    }
  }

  /// Consumers on the way to an output.
  std::vector<int> consumers(int node) const {
    std::vector<int> out;
    for (int c : net_.consumers()[at(node)])
      if (used_[at(c)]) out.push_back(c);
    return out;
  }

  /// True if a consumer, looked at through flatten and reshape, holds a layer's weights.
  bool enters_block(int node) const {
    if (net_.node(node).op && net_.node(node).op->traits().rearranges) return false;
    return feeds_block(node);
  }
  bool feeds_block(int node) const {
    for (int c : consumers(node)) {
      const Op& op = *net_.node(c).op;
      if (starts_block(op) || (op.traits().rearranges && feeds_block(c))) return true;
    }
    return false;
  }

  /// False for what is done to the input before the first layer (scaling, pooling): that belongs to
  /// the first layer.
  bool behind_weight(const Node& node) {
    if (behind_weight_.empty()) {
      behind_weight_.assign(net_.nodes().size(), 0);
      for (const Node& n : net_.nodes()) {
        if (!n.op) continue;
        char& here = behind_weight_[at(n.id)];
        here = starts_block(*n.op);
        for (int i : n.inputs) here |= behind_weight_[at(i)];
      }
    }
    return behind_weight_[at(node.id)];
  }

  /// From an affine operation on through norms, sums and the like to what enters the activation.
  int end_of_preactivation(int node) const {
    while (true) {
      const std::vector<int> next = consumers(node);
      if (next.size() != 1) return node;
      const Op& op = *net_.node(next[0]).op;
      if (op.traits().activation || starts_block(op) || op.traits().rearranges) return node;
      node = next[0];
    }
  }

  /// Per node: it, or what lies between it and the nearest states above, has parameters or draws
  /// random numbers, so that only one edge may compute it.
  std::vector<char> bound_to_one_edge() const {
    std::vector<char> bound(net_.nodes().size(), 0);
    for (const Node& node : net_.nodes()) {
      if (!node.op) continue;
      char& here = bound[at(node.id)];
      here = !node.op->params().empty() || node.op->traits().draws;
      for (int i : node.inputs) here |= !is_state_[at(i)] && bound[at(i)];
    }
    return bound;
  }

  /// One pass from the outputs up is enough: a new state only changes the owners of nodes above it.
  void give_every_parameter_one_owner() {
    const std::vector<char> bound = bound_to_one_edge();
    std::vector<std::set<int>> owners(net_.nodes().size());
    for (size_t k = net_.nodes().size(); k-- > 0;) {
      const Node& node = net_.nodes()[k];
      if (!used_[k]) continue;
      for (int c : consumers(node.id)) {
        if (is_state_[at(c)]) {
          owners[k].insert(c);
        } else {
          owners[k].insert(owners[at(c)].begin(), owners[at(c)].end());
        }
      }
      if (node.op && bound[k] && owners[k].size() > 1 && !node.op->traits().rearranges)
        is_state_[k] = 1;
    }
  }

  const Graph& net_;
  std::vector<char> is_state_, used_, behind_weight_;
};

/// The sub-graph between node `to` and the nearest states above it.
StateGraph::Edge edge_to_node(const Graph& net, const Cutter& cutter, int to,
                              const std::vector<int>& state_of) {
  std::set<int> between, sources;
  std::vector<int> open = {to};
  while (!open.empty()) {
    const int id = open.back();
    open.pop_back();
    if (!between.insert(id).second) continue;
    for (int i : net.node(id).inputs) {
      if (cutter.is_state(i)) {
        sources.insert(i);
      } else {
        open.push_back(i);
      }
    }
  }
  StateGraph::Edge edge;
  edge.to = state_of[at(to)];
  std::vector<int> here(net.nodes().size(), -1);
  for (int source : sources) {
    here[at(source)] = edge.map.input(net.node(source).spec, net.node(source).name);
    edge.from.push_back(state_of[at(source)]);
    edge.node.push_back(source);
  }
  for (int id : between) {
    std::vector<int> inputs;
    for (int i : net.node(id).inputs) inputs.push_back(here[at(i)]);
    here[at(id)] = edge.map.add(net.node(id).op, inputs, net.node(id).name);
    edge.map.draw_as(here[at(id)], net.node(id).draws);
    edge.node.push_back(id);
  }
  edge.map.output(here[at(to)]);
  return edge;
}

}  // namespace

StateGraph states(const Graph& net, Cut cut) {
  if (net.output_nodes().empty())
    throw Refusal("network", "it has no output", "mark a node with Graph::output");
  if (net.has_composites()) {
    std::vector<int> sites;
    StateGraph out = states(net.flattened(&sites), cut);
    out.stand_at(sites);
    return out;
  }
  const Cutter cutter(net, cut);
  StateGraph out;
  std::vector<int> state_of(net.nodes().size(), -1);
  const std::vector<int>& outputs = net.output_nodes();
  for (const Node& node : net.nodes()) {
    if (!cutter.is_state(node.id)) continue;
    state_of[at(node.id)] = static_cast<int>(out.states.size());
    out.states.push_back({node.name, node.spec, node.id, node.op == nullptr,
                          std::count(outputs.begin(), outputs.end(), node.id) > 0});
  }
  for (const StateGraph::State& state : out.states)
    if (!state.input) out.edges.push_back(edge_to_node(net, cutter, state.node, state_of));
  std::vector<int> sites(net.nodes().size());
  std::iota(sites.begin(), sites.end(), 0);
  out.stand_at(sites);
  return out;
}

void StateGraph::stand_at(const std::vector<int>& sites) {
  for (Edge& edge : edges)
    for (size_t n = 0; n < edge.node.size(); ++n)
      edge.map.stand_at(static_cast<int>(n), sites[at(edge.node[n])]);
}

int StateGraph::edge_to(int state) const {
  for (size_t e = 0; e < edges.size(); ++e)
    if (edges[e].to == state) return static_cast<int>(e);
  return -1;
}

const std::vector<int>& StateGraph::parents(int state) const {
  static const std::vector<int> none;
  const int edge = edge_to(state);
  return edge < 0 ? none : edges[at(edge)].from;
}

std::vector<int> StateGraph::edges_from(int state) const {
  std::vector<int> out;
  for (size_t e = 0; e < edges.size(); ++e)
    if (std::count(edges[e].from.begin(), edges[e].from.end(), state))
      out.push_back(static_cast<int>(e));
  return out;
}

std::vector<int> StateGraph::children(int state) const {
  std::vector<int> out;
  for (int e : edges_from(state)) out.push_back(edges[at(e)].to);
  return out;
}

std::vector<int> StateGraph::hops_to_output(bool longest) const {
  std::vector<int> hops(states.size(), -1);
  for (size_t s = 0; s < states.size(); ++s)
    if (states[s].output) hops[s] = 0;
  // Edges come in topological order of their targets, so backwards every target is final.
  for (size_t e = edges.size(); e-- > 0;) {
    const int below = hops[at(edges[e].to)];
    if (below < 0) continue;
    for (int from : edges[e].from) {
      int& here = hops[at(from)];
      if (here < 0) {
        here = below + 1;
      } else {
        here = longest ? std::max(here, below + 1) : std::min(here, below + 1);
      }
    }
  }
  return hops;
}

bool StateGraph::levelled() const { return hops_to_output(true) == hops_to_output(false); }

std::vector<Tensor> StateGraph::run(std::span<const Tensor> inputs, std::vector<Activity>& activity,
                                    const Pass& pass) const {
  std::vector<Tensor> values(states.size());
  size_t next = 0;
  for (size_t s = 0; s < states.size(); ++s) {
    if (!states[s].input) continue;
    if (next == inputs.size())
      throw UsageError(text::cat("the network takes more than ", inputs.size(), " inputs"));
    values[s] = inputs[next++];
  }
  activity.resize(edges.size());
  std::vector<Tensor> arguments;
  for (size_t e = 0; e < edges.size(); ++e) {
    arguments.clear();
    for (int from : edges[e].from) arguments.push_back(values[at(from)]);
    values[at(edges[e].to)] = edges[e].map.run(arguments, activity[e], pass);
  }
  return values;
}

}  // namespace altprop
