#include "altprop/rules/relaxation/lanczos.h"

#include <ATen/ops/linalg_eigh.h>

#include <cmath>

namespace altprop {

namespace {

/// <a, b> of every sample, float64 [B], or of all together, [1].
Tensor products(const Field& a, const Field& b, bool apart) {
  Tensor out;
  for (size_t s = 0; s < a.size(); ++s) {
    if (!a[s].defined()) continue;
    Tensor part = (a[s].to(at::kDouble) * b[s].to(at::kDouble)).flatten(1).sum(1);
    if (!apart) part = part.sum(0, true);
    out = out.defined() ? out.add_(part) : part;
  }
  return out;
}

/// One factor per sample, shaped to multiply a state.
Tensor shaped(const Tensor& factor, const Tensor& like) {
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[0] = factor.size(0);
  return factor.to(like.scalar_type()).view(shape);
}

void scale(Field& field, const Tensor& factor) {
  for (Tensor* t : defined_in(field)) t->mul_(shaped(factor, *t));
}

void subtract(Field& from, const Field& what, const Tensor& factor) {
  for (size_t s = 0; s < from.size(); ++s)
    if (from[s].defined()) from[s].sub_(what[s] * shaped(factor, from[s]));
}

/// Ritz value plus residual of every sample, and the largest residual relative to its value.
std::pair<double, double> bound(const std::vector<Tensor>& alpha, const std::vector<Tensor>& beta) {
  const auto n = static_cast<int64_t>(alpha.size());
  Tensor t = at::zeros({alpha[0].size(0), n, n}, alpha[0].options());
  for (int64_t i = 0; i < n; ++i) {
    t.select(1, i).select(1, i).copy_(alpha[static_cast<size_t>(i)]);
    if (i + 1 == n) break;
    t.select(1, i).select(1, i + 1).copy_(beta[static_cast<size_t>(i)]);
    t.select(1, i + 1).select(1, i).copy_(beta[static_cast<size_t>(i)]);
  }
  const auto [values, vectors] = at::linalg_eigh(t);
  const Tensor top = values.select(1, n - 1);
  const Tensor residual = vectors.select(2, n - 1).select(1, n - 1).abs().mul_(beta.back());
  const Tensor most = (top + residual).max();
  return {most.item<double>(), (most - top.max()).div_(most.clamp_min(1e-300)).item<double>()};
}

}  // namespace

double largest_eigenvalue(Field start, bool apart, const std::function<Field(const Field&)>& matrix,
                          double accuracy, int64_t most_products) {
  Field before, here = std::move(start);
  std::vector<Tensor> alpha, beta;
  const auto normalise = [&](Field& field) {
    const Tensor norm = products(field, field, apart).sqrt_();
    // Nothing is left of a sample whose directions are all found: it stays zero.
    scale(field, at::where(norm > 1e-150, norm.reciprocal(), at::zeros_like(norm)));
    return norm;
  };
  normalise(here);
  double out = 0;
  for (int64_t i = 0; i < most_products; ++i) {
    Field next = matrix(here);
    alpha.push_back(products(here, next, apart));
    if (!alpha.back().isfinite().all().item<bool>()) return NAN;
    subtract(next, here, alpha.back());
    if (i > 0) subtract(next, before, beta.back());
    beta.push_back(normalise(next));
    if (!beta.back().isfinite().all().item<bool>()) return NAN;
    if (i % 4 == 3 || i + 1 == most_products) {
      const auto [value, doubt] = bound(alpha, beta);
      out = value;
      if (doubt < accuracy) break;
    }
    before = std::move(here);
    here = std::move(next);
  }
  return out;
}

}  // namespace altprop
