#include "altprop/network/ops/activation.h"
#include "altprop/base/index.h"
#include "altprop/network/state_graph.h"

namespace altprop {

namespace {

class Leveller {
 public:
  explicit Leveller(const StateGraph& old)
      : old_(old),
        hops_(old.hops_to_output(true)),
        now_(old.states.size(), -1),
        delays_(old.states.size()) {}

  StateGraph run() {
    for (size_t s = 0; s < old_.states.size(); ++s) {
      const int edge = old_.edge_to(static_cast<int>(s));
      if (edge < 0) {
        add(old_.states[s]);
      } else {
        move(old_.edges[at(edge)]);
      }
      now_[s] = static_cast<int>(out_.states.size()) - 1;
    }
    return std::move(out_);
  }

 private:
  void add(const StateGraph::State& state) { out_.states.push_back(state); }

  void move(const StateGraph::Edge& edge) {
    StateGraph::Edge moved = edge;
    for (int& parent : moved.from)
      parent = old_.states[at(parent)].input
                   ? now_[at(parent)]
                   : delayed(parent, hops_[at(parent)] - hops_[at(edge.to)] - 1);
    add(old_.states[at(edge.to)]);
    moved.to = static_cast<int>(out_.states.size()) - 1;
    out_.edges.push_back(std::move(moved));
  }

  /// The state that holds what `state` holds, `times` hops nearer to the outputs.
  int delayed(int state, int times) {
    if (times <= 0) return now_[at(state)];
    std::vector<int>& chain = delays_[at(state)];
    while (static_cast<int>(chain.size()) < times) {
      StateGraph::State copy = old_.states[at(state)];
      copy.name += ".delay" + std::to_string(chain.size() + 1);
      copy.output = false;
      StateGraph::Edge edge;
      edge.from = {chain.empty() ? now_[at(state)] : chain.back()};
      edge.node = {copy.node, copy.node};
      edge.map.output(edge.map.add(activation("identity"),
                                   {edge.map.input(copy.spec, copy.name + ".in")}, copy.name));
      add(copy);
      edge.to = static_cast<int>(out_.states.size()) - 1;
      chain.push_back(edge.to);
      out_.edges.push_back(std::move(edge));
    }
    return chain[at(times - 1)];
  }

  const StateGraph& old_;
  const std::vector<int> hops_;
  std::vector<int> now_;                  ///< per old state: its number now
  std::vector<std::vector<int>> delays_;  ///< per old state: its delayed copies, nearest first
  StateGraph out_;
};

}  // namespace

StateGraph level(const StateGraph& graph) { return Leveller(graph).run(); }

}  // namespace altprop
