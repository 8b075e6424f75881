// The step sizes at which the descent of value_relaxation.h is stable. With M the map from a move
// of the values to the change of all errors, J that from a move of the errors to the change of the
// output, P the precisions and H the loss's second derivative, the Gauss-Newton matrices are
//
//   M^T (P, beta H) M       of the energy in the values
//   P + beta J^T H J        of the energy in the errors
#include <cmath>

#include "altprop/base/index.h"
#include "altprop/rules/relaxation/lanczos.h"
#include "altprop/rules/relaxation/value_relaxation.h"

namespace altprop {

Tensor ValueRelaxation::curved(const Tensor& direction) const {
  if (terms_.clamps_output) return direction;
  const Tensor& output = prediction_[at(pass_.graph().edge_to(pass_.output()))];
  return objective_->curvature(output, direction).mul_(terms_.beta);
}

double ValueRelaxation::largest_of(double accuracy,
                                   const std::function<Field(const Field&)>& matrix) {
  Field start(v_.size());
  for (size_t s = 0; s < start.size(); ++s)
    if (hidden_[s])
      start[s] = Stream(1)
                     .at(static_cast<int64_t>(s))
                     .normal(v_[s].sizes(), at::kDouble)
                     .to(v_[s].options());
  return largest_eigenvalue(std::move(start), pass_.by_samples(), matrix, accuracy);
}

double ValueRelaxation::curvature(double accuracy) {
  const StateGraph& graph = pass_.graph();
  refresh();
  return largest_of(accuracy, [&](const Field& u) {
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

double ValueRelaxation::error_curvature(double accuracy) {
  const StateGraph& graph = pass_.graph();
  refresh();
  return largest_of(accuracy, [&](const Field& u) {
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

double ValueRelaxation::energy_rounding(double energy) const {
  constexpr double kSummed = 8;  // roundings of a product's sum, relative to its result
  const double eps = v_[at(pass_.output())].scalar_type() == at::kDouble ? 0x1p-52 : 0x1p-23;
  double of_errors = 0, of_loss = 0, most_precise = 1;
  const StateGraph& graph = pass_.graph();
  for (size_t e = 0; e < graph.edges.size(); ++e) {
    const size_t to = at(graph.edges[e].to);
    const Tensor& p = prediction_[e];
    if (hidden_[to] || terms_.clamps_output) {
      const Tensor size = p.abs().mul_(kSummed).add_(hidden_[to] ? v_[to].abs() : clamp_.abs());
      of_errors += size.square_().sum().item<double>();
      most_precise = std::max(most_precise, precision(to));
    } else {  // a logarithm of a sum of exponentials, or a square, of outputs of this size
      of_loss += p.abs().flatten(1).amax(1).sum().item<double>() * std::abs(terms_.beta);
    }
  }
  const double errors = eps * std::sqrt(of_errors);
  return std::sqrt(2 * most_precise * std::abs(energy)) * errors +
         0.5 * most_precise * errors * errors + kSummed * eps * (of_loss + std::abs(energy));
}

double ValueRelaxation::energy_of_error(double tolerance) {
  double size = 0;
  for (size_t s = 0; s < v_.size(); ++s)
    if (hidden_[s]) size += (v_[s].abs() + 1).square_().sum().item<double>();
  return 0.5 * curvature() * tolerance * tolerance * size;
}

}  // namespace altprop
