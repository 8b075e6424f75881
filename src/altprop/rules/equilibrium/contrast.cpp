#include "altprop/rules/equilibrium/contrast.h"

#include "altprop/base/index.h"

namespace altprop {

namespace {

/// Gives each signal another input, and to the weight alone.
struct WithInput : PassingSink {
  const std::vector<Tensor>& tangent;  ///< per node of the map
  WithInput(const std::vector<Tensor>& tangent, Sink& next) : PassingSink(next), tangent(tangent) {}
  using PassingSink::take;
  void take(const LocalSignal& signal) override {
    const ParamPtr weight = signal.op->weight();
    LocalSignal moved = signal;
    moved.input = tangent[at(signal.site->node.inputs[0])];
    if (!weight || !moved.input.defined()) return;
    moved.only = {weight.get()};
    next.take(moved);
  }
};

/// Sends what arrives for one operation of a map to the operation at the same place of another:
/// signals for all of its parameters, as the contrasts of edges that bend are.
struct Redirect : PassingSink {
  const Graph& to;
  Redirect(const Graph& to, Sink& next) : PassingSink(next), to(to) {}
  using PassingSink::take;
  void take(const LocalSignal& signal) override {
    LocalSignal moved = signal;
    const Site site = to.site(signal.site->node.id);
    moved.site = &site;
    moved.op = site.node.op.get();
    if (!signal.only.empty()) moved.only = {moved.op->weight().get()};  // none is but the weight
    moved.shared = nullptr;
    next.take(moved);
  }
};

/// Keeps the credit that arrives at the only operation with parameters.
struct Arrived : Sink {
  Tensor cot;
  int node = -1;
  void take(const LocalSignal& signal) override {
    cot = signal.cot;
    node = signal.site->node.id;
  }
  void take(const ParamSignal&) override {}
};

/// Of a map with one operation that has parameters, around which poolings choose: what arrives at
/// it in each state, through the choices of that state, is subtracted before it is multiplied.
void contrast_at_weight(const Graph& map, Activity& at_plus, const Tensor& plus, Activity& at_minus,
                        const Tensor& minus, double scale, Sink& sink) {
  Feedback exact;
  Arrived first, second;
  map.sweep(at_plus, {{map.output_node(), plus}}, exact, &first, {});
  map.sweep(at_minus, {{map.output_node(), minus}}, exact, &second, {});
  if (!first.cot.defined()) return;  // it is frozen
  const Node& node = map.node(first.node);
  const Site site = map.site(first.node);
  const Tensor &seen_plus = at_plus.saved[at(node.id)].t[0],
               &seen_minus = at_minus.saved[at(node.id)].t[0];
  LocalSignal signal{node.op.get(), &site, nullptr, first.cot - second.cot, scale};
  signal.input = (seen_plus + seen_minus).mul_(0.5);
  sink.take(signal);
  const ParamPtr weight = node.op->weight();
  if (!weight) return;
  signal.cot = (first.cot + second.cot).mul_(0.5);
  signal.input = seen_plus - seen_minus;
  signal.only = {weight.get()};
  sink.take(signal);
}

}  // namespace

void deliver_tangents(const Graph& map, Activity& activity, const std::vector<Tensor>& tangents,
                      const Tensor& cot, double scale, Sink& sink) {
  std::vector<Tensor> tangent(map.nodes().size());
  for (size_t i = 0; i < tangents.size(); ++i) tangent[at(map.input_nodes()[i])] = tangents[i];
  for (const Node& node : map.nodes()) {
    if (!node.op || node.id == map.output_node()) continue;
    Tensor& here = tangent[at(node.id)];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Tensor& in = tangent[at(node.inputs[i])];
      if (!in.defined()) continue;
      const Tensor part = node.op->jvp(activity.saved[at(node.id)], in, static_cast<int>(i));
      here = here.defined() ? here + part : part;
    }
  }
  Feedback exact;
  WithInput with_input(tangent, sink);
  map.sweep(activity, {{map.output_node(), cot}}, exact, &with_input, {.scale = scale});
}

Contrast::Contrast(const ConvergentNetwork& net, ConvergentDynamics& dynamics,
                   const BackwardWeights* back)
    : net_(net), dynamics_(dynamics), back_(back) {
  for (size_t e = 0; e < net.graph.edges.size(); ++e)
    bilinear_.push_back(net.weights(static_cast<int>(e)) <= 1 && !net.bends[e]);
}

Activity& Contrast::run(const Graph& map, size_t e, const Field& states, Activity& activity) {
  std::vector<Tensor> parents;
  for (int p : net_.graph.edges[e].from) parents.push_back(states[at(p)]);
  dynamics_.masks().run(e, map, parents, activity);
  return activity;
}

void Contrast::contrast(size_t e, const Graph& map, const Pair& pair, double scale, Sink& sink) {
  const StateGraph::Edge& edge = net_.graph.edges[e];
  const Tensor &plus = pair.plus[at(edge.to)], &minus = pair.minus[at(edge.to)];
  Feedback exact;
  const auto sweep = [&](Activity& activity, const Tensor& cot, double sign) {
    map.sweep(activity, {{map.output_node(), cot}}, exact, &sink, {.scale = sign * scale});
  };
  if (net_.from_inputs[e])
    return sweep(dynamics_.from_inputs(static_cast<int>(e)), plus - minus, 1);
  if (!bilinear_[e]) {
    run(map, e, pair.plus, first_);  // both before the first signal, which may change the weight
    run(map, e, pair.minus, second_);
    if (net_.weights(static_cast<int>(e)) == 1)
      return contrast_at_weight(map, first_, plus, second_, minus, scale, sink);
    sweep(first_, plus, 1);
    sweep(second_, minus, -1);
    return;
  }
  Field mean(net_.graph.states.size());
  std::vector<Tensor> moves;
  for (int p : edge.from) {
    const Tensor &a = pair.plus[at(p)], &b = pair.minus[at(p)];
    mean[at(p)] = net_.moves(p) ? (a + b).mul_(0.5) : a;
    moves.push_back(net_.moves(p) ? a - b : Tensor());
  }
  Activity& middle = run(map, e, mean, first_);
  sweep(middle, plus - minus, 1);
  deliver_tangents(map, middle, moves, (plus + minus).mul_(0.5), scale, sink);
}

void Contrast::deliver(const Pair& pair, Sink& sink) {
  for (size_t e = net_.graph.edges.size(); e-- > 0;)
    if (net_.moves(net_.graph.edges[e].to))
      contrast(e, net_.graph.edges[e].map, pair, -pair.scale / pair.span, sink);
}

void Contrast::deliver_vector_field(const Pair& pair, const Field& free, Sink& sink) {
  const double scale = -pair.scale / pair.span;
  Feedback exact;
  for (size_t e = net_.graph.edges.size(); e-- > 0;) {
    const StateGraph::Edge& edge = net_.graph.edges[e];
    if (!net_.moves(edge.to)) continue;
    const Graph* own = back_->map(static_cast<int>(e));
    Activity& at_free =
        own ? run(edge.map, e, free, first_) : dynamics_.from_inputs(static_cast<int>(e));
    edge.map.sweep(at_free,
                   {{edge.map.output_node(), pair.plus[at(edge.to)] - pair.minus[at(edge.to)]}},
                   exact, &sink, {.scale = scale});
    if (!own) continue;
    run(*own, e, pair.plus, first_);
    run(*own, e, pair.minus, second_);
    const Tensor& post = free[at(edge.to)];
    own->sweep(first_, {{own->output_node(), post}}, exact, &sink, {.scale = scale});
    own->sweep(second_, {{own->output_node(), post}}, exact, &sink, {.scale = -scale});
  }
}

void Contrast::deliver_same_update(const Pair& pair, Sink& sink) {
  const double scale = -pair.scale / pair.span;
  for (size_t e = net_.graph.edges.size(); e-- > 0;) {
    const StateGraph::Edge& edge = net_.graph.edges[e];
    if (!net_.moves(edge.to)) continue;
    const Graph* own = back_->map(static_cast<int>(e));
    // Without max pooling both ways give the same products, and bias gradients always are the same.
    const bool both = own && net_.bends[e];
    contrast(e, edge.map, pair, both ? 0.5 * scale : scale, sink);
    if (!both) continue;
    Redirect redirect(edge.map, sink);
    contrast(e, *own, pair, 0.5 * scale, redirect);
  }
}

void Contrast::deliver_readout(const Field& states, const Loss& loss, const Tensor& targets,
                               double scale, Sink& sink) {
  if (!net_.readout) return;
  const auto e = at(net_.graph.edge_to(net_.output));
  const Graph& map = net_.graph.edges[e].map;
  std::vector<Tensor> parents;
  for (int p : net_.graph.edges[e].from) parents.push_back(states[at(p)]);
  const Tensor output = dynamics_.masks().run(e, map, parents, first_);
  Feedback exact;
  map.sweep(first_, {{map.output_node(), loss.gradient(output, targets)}}, exact, &sink,
            {.scale = scale});
}

}  // namespace altprop
