#include "altprop/rules/equilibrium/backward_weights.h"

#include <cmath>

#include "altprop/base/error.h"

namespace altprop {

OpPtr with_weight(const Node& node, const ParamPtr& weight) {
  if (OpPtr op = node.op->with_weight(weight)) return op;
  throw Refusal("node '" + node.name + "'",
                node.op->type() +
                    " cannot be had with another weight and without its bias "
                    "(Op::with_weight), which a separate way back needs",
                "use ep.weights=tied, or backprop");
}

BackwardWeights::BackwardWeights(const ConvergentNetwork& net, const Stream& stream, bool twins)
    : maps_(net.graph.edges.size()), has_(net.graph.edges.size(), 0) {
  for (size_t e = 0; e < maps_.size(); ++e) {
    const StateGraph::Edge& edge = net.graph.edges[e];
    if (net.from_inputs[e] || !net.moves(edge.to)) continue;
    has_[e] = 1;
    for (const Node& node : edge.map.nodes()) {
      if (!node.op) {
        maps_[e].input(node.spec, node.name);
        continue;
      }
      OpPtr op = node.op;
      if (const ParamPtr w = op->weight()) {
        const double limit = std::sqrt(3 * w->value.square().mean().item<double>());
        auto back = std::make_shared<Param>(
            w->name + ".feedback",
            stream.at(node.name).uniform(-limit, limit, w->value.sizes(), w->value.options()));
        back->placed = true;
        back->group = w->group;
        back->decay = w->decay;
        if (twins) back->twin = w.get();
        op = with_weight(node, back);
        pairs_.push_back({node.name, w, back});
      }
      maps_[e].add(op, node.inputs, node.name);
    }
    maps_[e].output(edge.map.output_node());
  }
}

std::vector<ParamPtr> BackwardWeights::params() const {
  std::vector<ParamPtr> out;
  for (const Pair& pair : pairs_) out.push_back(pair.backward);
  return out;
}

std::vector<FeedbackFact> BackwardWeights::facts() const {
  std::vector<FeedbackFact> out;
  for (const Pair& pair : pairs_)
    out.push_back({pair.name, pair.backward->value, pair.forward->value});
  return out;
}

}  // namespace altprop
