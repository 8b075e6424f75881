// The step sizes at which the descent of value_relaxation.h is stable. With M the map from a move
// of the values to the change of all errors, J that from a move of the errors to the change of the
// output, P the precisions and H the loss's second derivative, the Gauss-Newton matrices are
//
//   M^T (P, beta H) M       of the energy in the values
//   P + beta J^T H J        of the energy in the errors
#include <cmath>

#include "altprop/rules/relaxation/value_relaxation.h"

#include "altprop/base/index.h"

namespace altprop {

Tensor ValueRelaxation::curved(const Tensor& direction) const {
  if (terms_.clamps_output) return direction;
  const Tensor& output = prediction_[at(pass_.graph().edge_to(pass_.output()))];
  return objective_->curvature(output, direction).mul_(terms_.beta);
}

double ValueRelaxation::power_iteration(int iterations,
                                        const std::function<Field(const Field&)>& matrix) {
  Field u(v_.size());
  for (size_t s = 0; s < u.size(); ++s)
    if (hidden_[s])
      u[s] = Stream(1)
                 .at(static_cast<int64_t>(s))
                 .normal(v_[s].sizes(), at::kDouble)
                 .to(v_[s].options());
  double largest = 0;
  for (int i = 0; i < iterations; ++i) {
    double norm = 0;
    for (const Tensor& t : u)
      if (t.defined()) norm += t.square().sum().item<double>();
    norm = std::sqrt(norm);
    if (!(norm > 0) || !std::isfinite(norm)) return largest;
    for (Tensor& t : u)
      if (t.defined()) t.div_(norm);
    Field next = matrix(u);
    largest = 0;
    for (size_t s = 0; s < u.size(); ++s)
      if (hidden_[s]) largest += (u[s] * next[s]).sum().item<double>();
    u = std::move(next);
  }
  return largest;
}

double ValueRelaxation::curvature(int iterations) {
  const StateGraph& graph = pass_.graph();
  refresh();
  return power_iteration(iterations, [&](const Field& u) {
    Field image(u.size());  // of every error, weighted
    for (size_t e = 0; e < graph.edges.size(); ++e) {
      const StateGraph::Edge& edge = graph.edges[e];
      std::vector<Tensor> tangents;
      for (int p : edge.from) tangents.push_back(u[at(p)]);  // undefined: does not move
      const size_t to = at(edge.to);
      const Tensor moved = edge.map.push(pass_.activity()[e], tangents);
      if (hidden_[to])
        image[to] = (moved.defined() ? moved - u[to] : -u[to]).mul_(precision(to));
      else
        image[to] = moved.defined() ? curved(moved) : at::zeros_like(prediction_[e]);
    }
    Field next(u.size());
    for (size_t e = 0; e < graph.edges.size(); ++e)
      pull(e, image[at(graph.edges[e].to)], 1, next, hidden_);
    for (size_t s = 0; s < u.size(); ++s)
      if (hidden_[s]) next[s] = next[s].defined() ? next[s] - image[s] : -image[s];
    return next;
  });
}

double ValueRelaxation::error_curvature(int iterations) {
  const StateGraph& graph = pass_.graph();
  refresh();
  return power_iteration(iterations, [&](const Field& u) {
    Field moved(u.size()), total(u.size());  // values, and the loss through all later layers
    for (size_t e = 0; e < graph.edges.size(); ++e) {
      const StateGraph::Edge& edge = graph.edges[e];
      std::vector<Tensor> tangents;
      for (int p : edge.from) tangents.push_back(moved[at(p)]);
      const size_t to = at(edge.to);
      const Tensor predicted = edge.map.push(pass_.activity()[e], tangents);
      if (!hidden_[to])
        total[to] = predicted.defined() ? curved(predicted) : at::zeros_like(prediction_[e]);
      else
        moved[to] = predicted.defined() ? predicted + u[to] : u[to];
    }
    for (size_t e = graph.edges.size(); e-- > 0;) {
      const Tensor& credit = total[at(graph.edges[e].to)];
      if (credit.defined()) pull(e, credit, 1, total, hidden_);
    }
    Field next(u.size());
    for (size_t s = 0; s < u.size(); ++s) {
      if (!hidden_[s]) continue;
      next[s] = u[s] * precision(s);
      if (total[s].defined()) next[s].add_(total[s]);
    }
    return next;
  });
}

}  // namespace altprop
