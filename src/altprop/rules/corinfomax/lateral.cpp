#include "altprop/rules/corinfomax/lateral.h"

#include <ATen/ops/linalg_cholesky_ex.h>

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/init.h"
#include "altprop/tensor/linear.h"

namespace altprop {

Lateral::Lateral(const std::vector<int64_t>& sizes, Settings settings, const Stream& stream,
                 const at::TensorOptions& options)
    : settings_(settings) {
  const Initialiser xavier("xavier");
  for (size_t k = 0; k < sizes.size(); ++k) {
    const Tensor x = xavier.draw({sizes[k], sizes[k]}, stream.at(static_cast<int64_t>(k)), options);
    b_.push_back(at::mm(x, x.t()));
  }
}

namespace {

/// With z = s B, B - (gamma/n) z^T z is positive definite where B is and (n/gamma) I - s B s^T is:
/// its eigenvalues are at most the sum of them all, which mostly is enough to know.
bool stays_definite(const Tensor& z, const Tensor& s, double bound) {
  if (!(bound > 0) || (z * s).sum().item<double>() < bound) return true;
  Tensor rest = gemm(z, s.t()).neg_();
  rest = (rest + rest.t()).mul_(0.5);
  rest.diagonal().add_(bound);
  return std::get<1>(at::linalg_cholesky_ex(rest)).item<int>() == 0;
}

}  // namespace

void Lateral::update(const std::vector<Tensor>& rates) {
  const double lambda = settings_.lambda, gamma = settings_.strength();
  // An asymmetry grows by 1/lambda with every update: by no more than e between two repairs.
  const int64_t every =
      std::min<int64_t>(settings_.symmetrise_every, std::llround(1 / (1 - lambda)));
  const bool symmetrise = ++updates_ % std::max<int64_t>(1, every) == 0 && every > 0;
  for (size_t k = 0; k < b_.size(); ++k) {
    const Tensor& s = rates[k];
    const auto n = static_cast<double>(s.size(0));
    const Tensor z = gemm(s, b_[k]);
    if (settings_.exact && gamma > 0) {
      Tensor inner = gemm(z, s.t());
      inner.diagonal().add_(n / gamma);
      const auto [root, failed] = at::linalg_cholesky_ex(inner);
      // Half a root would still give B a positive diagonal.
      if (failed.item<int>() != 0) lose(k, s);
      gemm_into(b_[k], z.t(), at::cholesky_solve(z, root), 1 / lambda, -1 / lambda);
    } else {
      if (!stays_definite(z, s, n / gamma)) lose(k, s);
      gemm_into(b_[k], z.t(), z, 1 / lambda, -gamma / (lambda * n));
    }
    if (symmetrise) b_[k] = (b_[k] + b_[k].t()).mul_(0.5);
    const Tensor diagonal = b_[k].diagonal();
    // Not finite counts as lost: no comparison with it holds.
    if (!diagonal.gt(0).logical_and_(diagonal.isfinite()).all().item<bool>()) lose(k, s);
  }
}

void Lateral::lose(size_t layer, const Tensor& rates) const {
  if (!rates.isfinite().all().item<bool>())
    throw Diverged(text::cat("corinfomax: the rates of layer ", layer + 1,
                             " are not finite, although the inputs are: use smaller learning "
                             "rates"));
  throw Diverged(text::cat(
      "corinfomax: lateral matrix of layer ", layer + 1,
      " lost positive definiteness: raise cim.lambda or ",
      settings_.exact ? "compute in float64 (--dtype float64)" : "use cim.lateral=exact"));
}

double Lateral::norm(size_t layer) const {
  const Tensor& b = b_[layer];
  Tensor v = at::ones({b.size(0), 1}, b.options());
  v.div_(v.norm());
  double norm = 0;
  for (int i = 0; i < 30; ++i) {
    v = at::mm(b, v);
    norm = v.norm().item<double>();
    if (!(norm > 0)) return norm;  // 0, or not a number
    v.div_(norm);
  }
  return norm;
}

void Lateral::state(StateIO io) {
  for (size_t k = 0; k < b_.size(); ++k) io.tensor("lateral" + std::to_string(k + 1), b_[k]);
  io.integer("lateral_updates", updates_);
}

}  // namespace altprop
