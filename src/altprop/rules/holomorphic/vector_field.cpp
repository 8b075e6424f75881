#include "altprop/rules/holomorphic/vector_field.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/index.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/shape.h"

namespace altprop {

namespace {

/// Fills in weight and bias where the map is [flatten,] linear from one settling state.
void recognise_matrix(Coupling& c, const ConvergentNetwork& net) {
  const Graph& map = c.map.graph();
  const Node& last = map.node(map.output_node());
  const std::optional<DenseMap> dense = last.op ? last.op->dense() : std::nullopt;
  if (!dense || c.from.size() != 1 || !net.moves(c.from[0])) return;
  const Node& before = map.node(last.inputs[0]);
  if (before.spec.shape.size() != 1) return;
  if (before.op && (!before.op->traits().reshapes || map.node(before.inputs[0]).op)) return;
  c.weight = dense->weight;
  c.bias = dense->bias;
}

}  // namespace

VectorField::VectorField(const ConvergentNetwork& net, const BackwardWeights* back,
                         const std::deque<FeedbackEdge>& edges)
    : net_(net) {
  const StateGraph& graph = net.graph;
  for (size_t e = 0; e < graph.edges.size(); ++e) {
    const StateGraph::Edge& edge = graph.edges[e];
    Coupling c{PlanarMap(edge.map), edge.from, edge.to, true, false, nullptr, nullptr};
    if (net.readout && edge.to == net.output) {
      readout_.push_back(c);
      continue;
    }
    if (!net.moves(edge.to)) continue;
    if (net.from_inputs[e]) {
      drives_.push_back(c);
      continue;
    }
    const Graph* own = back ? back->map(static_cast<int>(e)) : nullptr;
    c.back = !own && edges.empty();
    directed_ |= !c.back;
    recognise_matrix(c, net);
    couplings_.push_back(c);
    if (!own || !edges.empty()) continue;
    Coupling reverse{PlanarMap(*own), edge.from, edge.to, false, true, nullptr, nullptr};
    recognise_matrix(reverse, net);
    couplings_.push_back(reverse);
  }
  for (const FeedbackEdge& edge : edges) {
    Coupling c{PlanarMap(edge.map), {edge.from}, edge.to, true, false, nullptr, nullptr};
    recognise_matrix(c, net);
    couplings_.push_back(c);
  }
  for (size_t s = 0; s < graph.states.size(); ++s)
    if (net.moves(static_cast<int>(s))) units_ += graph.states[s].spec.numel();
}

int64_t VectorField::weights() const {
  int64_t out = 0;
  for (const Coupling& c : couplings_)
    for (const ParamPtr& param : c.map.graph().params()) out += param->value.numel();
  return out;
}

std::vector<int> VectorField::nudged_after() const {
  std::vector<int> after(net_.graph.states.size(), 0), now;
  if (!readout()) {
    now.push_back(net_.output);
  } else {
    for (int p : readout()->from)
      if (moves(p)) now.push_back(p);
  }
  int steps = 0;
  for (; !now.empty(); ++steps) {
    std::vector<int> next;
    for (int s : now) {
      if (after[at(s)]) continue;
      after[at(s)] = steps + 1;
      for (const Coupling& c : couplings_) {
        const bool reads = std::count(c.from.begin(), c.from.end(), s) > 0;
        if (c.forth && reads && !after[at(c.to)]) next.push_back(c.to);
        if (c.back && c.to == s)
          for (int p : c.from)
            if (moves(p) && !after[at(p)]) next.push_back(p);
      }
    }
    now = std::move(next);
  }
  for (size_t s = 0; s < after.size(); ++s)
    if (moves(static_cast<int>(s)) && !after[s])
      throw Refusal("hep.feedback-edges",
                    "no feedback reaches '" + net_.name(static_cast<int>(s)) +
                        "', so that it would learn nothing",
                    "add an edge that ends at it or before it");
  return after;
}

std::string VectorField::layer(int state) const {
  const auto of = [](const Coupling& c) {
    std::string name;
    for (const Node& node : c.map.graph().nodes())
      if (node.op && !node.op->params().empty()) name = node.name;
    return name;
  };
  for (const Coupling& c : drives_)
    if (c.to == state) return of(c);
  for (const Coupling& c : couplings_)
    if (c.to == state && c.forth) return of(c);
  return net_.name(state);
}

namespace {

/// A settling state by its own name or by that of a layer that drives it; -1 if there is none.
int state_named(const std::string& name, const ConvergentNetwork& net) {
  for (size_t s = 0; s < net.graph.states.size(); ++s)
    if (net.graph.states[s].name == name && net.moves(static_cast<int>(s)))
      return static_cast<int>(s);
  for (const StateGraph::Edge& edge : net.graph.edges)
    for (const Node& node : edge.map.nodes())
      if (node.op && node.name == name && net.moves(edge.to)) return edge.to;
  return -1;
}

}  // namespace

std::deque<FeedbackEdge> feedback_edges(const std::string& written, const ConvergentNetwork& net,
                                        const Stream& stream, const at::TensorOptions& options) {
  std::deque<FeedbackEdge> out;
  for (const std::string& part : text::split(written, ',')) {
    const std::string word = text::trim(part);
    if (word.empty()) continue;
    const std::vector<std::string> ends = text::split(word, '>');
    std::vector<int> states;
    for (const std::string& end : ends) states.push_back(state_named(text::trim(end), net));
    if (ends.size() != 2 || states[0] < 0 || states[1] < 0) {
      std::vector<std::string> names;
      for (size_t s = 0; s < net.graph.states.size(); ++s)
        if (net.moves(static_cast<int>(s))) names.push_back(net.graph.states[s].name);
      throw UsageError(text::cat("hep.feedback-edges: '", word,
                                 "' is no pair from>to of states; "
                                 "the states are ",
                                 text::join(names, ", ")));
    }
    const Spec &from = net.graph.states[at(states[0])].spec,
               &to = net.graph.states[at(states[1])].spec;
    if (to.shape.size() != 1)
      throw UsageError(text::cat("hep.feedback-edges: '", word,
                                 "' leads to images, and an edge is "
                                 "a matrix; let it end at a dense layer"));
    const double limit = std::sqrt(3.0 / static_cast<double>(from.numel()));
    const std::string name = text::cat("feedback.", text::trim(ends[0]), ".", text::trim(ends[1]));
    FeedbackEdge& edge = out.emplace_back();
    edge.from = states[0];
    edge.to = states[1];
    edge.weight = std::make_shared<Param>(
        name, stream.at(word).uniform(-limit, limit, {to.numel(), from.numel()}, options));
    edge.weight->placed = true;
    int node = edge.map.input(from, net.name(states[0]));
    if (from.shape.size() != 1) node = edge.map.add(flatten(), {node}, name + ".flatten");
    edge.map.output(edge.map.add(std::make_shared<Linear>(edge.weight, nullptr), {node}, name));
  }
  return out;
}

Field rates_of(const ConvergentNetwork& net, const Field& membrane, const Tensor& inputs) {
  Field out = membrane;
  for (size_t s = 0; s < out.size(); ++s) {
    if (net.graph.states[s].input) out[s] = inputs;
    if (!net.moves(static_cast<int>(s)) || !net.sigma[s]) continue;
    Saved scratch;
    out[s] = net.sigma[s]->forward(std::span(&membrane[s], 1), scratch, {});
  }
  return out;
}

std::optional<Analytic> analytic_of(const Activation* sigma) {
  return sigma && sigma->bounded() ? sigma->bounded()->analytic : std::nullopt;
}

void require_analytic(const VectorField& field) {
  const auto refuse = [](const std::string& name, const std::string& type) {
    throw Refusal("node '" + name + "'",
                  type +
                      " is not complex-differentiable, which the derivative by the nudge and "
                      "circles of more than two points need",
                  "use softmax pooling and dsilu, shifted-sigmoid, sigmoid or tanh, or "
                  "hep.points=2");
  };
  const ConvergentNetwork& net = field.net();
  for (size_t s = 0; s < net.sigma.size(); ++s)
    if (net.moves(static_cast<int>(s)) && net.sigma[s] && !analytic_of(net.sigma[s].get()))
      refuse(net.name(static_cast<int>(s)), net.sigma[s]->type());
  const auto check = [&](const Coupling& c) {
    for (const Node& node : c.map.graph().nodes())
      if (node.op && node.op->traits().response == Response::Selects)
        refuse(node.name, node.op->type());
  };
  for (const Coupling& c : field.couplings()) check(c);
  if (field.readout()) check(*field.readout());
}

}  // namespace altprop
