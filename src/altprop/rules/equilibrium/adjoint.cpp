#include "altprop/rules/equilibrium/adjoint.h"

#include <algorithm>

#include "altprop/base/index.h"
#include "altprop/base/larger.h"
#include "altprop/rules/equilibrium/fields.h"

namespace altprop {

std::vector<Tensor> Adjoint::parents(const Field& field, const StateGraph::Edge& edge) const {
  std::vector<Tensor> out;
  for (int p : edge.from) out.push_back(field[at(p)]);
  return out;
}

Tensor Adjoint::run(size_t e) {
  const StateGraph::Edge& edge = net_.graph.edges[e];
  if (const Graph* own = back_ ? back_->map(static_cast<int>(e)) : nullptr)
    masks_.run(e, *own, parents(states_, edge), backward_[e]);
  return masks_.run(e, edge.map, parents(states_, edge), forward_[e]);
}

void Adjoint::move_to(const Field& states) {
  states_ = states;
  slope_.assign(states.size(), Tensor());
  for (size_t s = 0; s < states.size(); ++s)
    if (net_.moves(static_cast<int>(s)) && net_.sigma[s])
      slope_[s] = net_.sigma[s]->slope_at(states[s]);
  for (size_t e = 0; e < net_.graph.edges.size(); ++e)
    if (net_.moves(net_.graph.edges[e].to) && (!net_.from_inputs[e] || !forward_[e].batch)) run(e);
}

void Adjoint::begin(const Field& states, const Loss& loss, const Tensor& targets) {
  const StateGraph& graph = net_.graph;
  forward_.assign(graph.edges.size(), {});
  backward_.assign(graph.edges.size(), {});
  push_.assign(states.size(), Tensor());
  move_to(states);
  if (!net_.readout) {
    push_[at(net_.output)] = loss.gradient(states[at(net_.output)], targets);
    return;
  }
  const size_t e = at(graph.edge_to(net_.output));
  const StateGraph::Edge& edge = graph.edges[e];
  const Tensor value = run(e);
  Feedback exact;
  std::vector<Tensor> pulled;
  edge.map.sweep(forward_[e], {{edge.map.output_node(), loss.gradient(value, targets)}}, exact,
                 nullptr, {.input_credits = &pulled});
  for (size_t i = 0; i < edge.from.size(); ++i)
    if (net_.moves(edge.from[i])) add_to(push_[at(edge.from[i])], pulled[i]);
}

Field Adjoint::sloped(Field v) const {
  for (size_t s = 0; s < v.size(); ++s)
    if (v[s].defined() && slope_[s].defined()) v[s] = v[s] * slope_[s];
  return v;
}

// a_to holds the edge forward in W, a_from its derivative in W_b; transposed, the two change
// places.
Field Adjoint::pull(const Field& v) {
  const StateGraph& graph = net_.graph;
  Field out(v.size());
  Feedback exact;
  for (size_t e = 0; e < graph.edges.size(); ++e) {
    const StateGraph::Edge& edge = graph.edges[e];
    if (!net_.moves(edge.to) || net_.from_inputs[e]) continue;
    if (v[at(edge.to)].defined()) {
      std::vector<Tensor> pulled;
      edge.map.sweep(forward_[e], {{edge.map.output_node(), v[at(edge.to)]}}, exact, nullptr,
                     {.input_credits = &pulled});
      for (size_t i = 0; i < edge.from.size(); ++i)
        if (net_.moves(edge.from[i])) add_to(out[at(edge.from[i])], pulled[i]);
    }
    std::vector<Tensor> tangents;
    bool any = false;
    for (int p : edge.from) {
      tangents.push_back(net_.moves(p) ? v[at(p)] : Tensor());
      any |= tangents.back().defined();
    }
    if (!any) continue;
    const Graph* own = back_ ? back_->map(static_cast<int>(e)) : nullptr;
    add_to(out[at(edge.to)],
           own ? own->push(backward_[e], tangents) : edge.map.push(forward_[e], tangents));
  }
  return out;
}

// Undamped, an eigenvalue of D J below -1 would make it diverge where the alternating dynamics
// still settles.
Field Adjoint::solve(double tolerance, int64_t most) {
  constexpr double kPart = 0.5;
  const Field first = source();
  Field lambda = first;
  const double enough = tolerance * largest(first);
  for (int64_t t = 1; t < most; ++t) {
    Field next = transport(lambda);
    double moved = 0;
    for (size_t s = 0; s < lambda.size(); ++s) {
      add_to(next[s], first[s]);
      if (!next[s].defined()) continue;
      const Tensor move = lambda[s].defined() ? next[s] - lambda[s] : next[s];
      moved = larger(moved, move.abs().max().item<double>());
      lambda[s] = lambda[s].defined() ? lambda[s] + move * kPart : move * kPart;
    }
    if (moved <= enough) break;
  }
  return lambda;
}

void Adjoint::deliver(const Field& lambda, double scale, Sink& sink) {
  const StateGraph& graph = net_.graph;
  Feedback exact;
  for (size_t e = graph.edges.size(); e-- > 0;) {
    const StateGraph::Edge& edge = graph.edges[e];
    if (!net_.moves(edge.to)) continue;
    const Graph& map = edge.map;
    if (lambda[at(edge.to)].defined())
      map.sweep(forward_[e], {{map.output_node(), lambda[at(edge.to)]}}, exact, &sink,
                {.scale = scale});
    if (net_.from_inputs[e]) continue;
    std::vector<Tensor> tangents;
    for (int p : edge.from) tangents.push_back(net_.moves(p) ? lambda[at(p)] : Tensor());
    const Graph* own = back_ ? back_->map(static_cast<int>(e)) : nullptr;
    deliver_tangents(own ? *own : map, own ? backward_[e] : forward_[e], tangents,
                     states_[at(edge.to)], scale, sink);
  }
}

}  // namespace altprop
