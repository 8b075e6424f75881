#include "altprop/optim/directions/inverse_correlation.h"

#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_solve_triangular.h>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

void SeenRows::add_sum(const Tensor& sum, int64_t rows) {
  sum_ = count_ ? sum_ + sum : sum;
  count_ += rows;
}

void SeenRows::add(const Tensor& rows) {
  count_ += rows.size(0);
  rows_.push_back(rows);
  if (!gram_.defined() && count_ <= rows.size(1)) return;
  const Tensor all = few();
  gram_ = gram_.defined() ? gram_.addmm_(all.t(), all) : all.t().mm(all);
  rows_.clear();
}

Tensor SeenRows::few() const { return rows_.size() == 1 ? rows_[0] : at::cat(rows_); }

InverseCorrelation::InverseCorrelation(int64_t inputs, at::TensorOptions options,
                                       const CorrelationSettings& settings)
    : settings_(settings), p_(at::eye(inputs, options) * settings.p0) {
  if (settings.mode == "exact-ema") sigma_ = at::eye(inputs, options) / settings.p0;
}

Tensor InverseCorrelation::advance(const Tensor& g, const SeenRows& seen) {
  if (!settings_.exact()) return along_mean(g, seen);
  if (sigma_.defined()) {
    average_rows(seen);
  } else {
    take_all_rows(seen);
    hold_back();
  }
  sound_ = p_.trace();
  return g.mm(p_);
}

Tensor InverseCorrelation::along_mean(const Tensor& g, const SeenRows& seen) {
  const double lambda = settings_.lambda, k = settings_.k;
  const Tensor x = seen.mean(), u = p_.mv(x);
  // P is positive definite but for rounding.
  const Tensor h = x.dot(u).clamp_min(0).mul(k).add(lambda);
  sound_ = h;
  const bool post = settings_.mode == "mean-post";
  Tensor along = post ? Tensor() : g.mm(p_).div_(h);
  // A product of one vector with itself and no fused operations: P stays symmetric to the last bit.
  const Tensor v = u * (k / lambda / h).sqrt();
  p_.mul_(1 / lambda).sub_(at::outer(v, v));
  hold_back();
  return post ? g.mm(p_) : along;
}

void InverseCorrelation::take_all_rows(const SeenRows& seen) {
  const double lambda = settings_.lambda, rows = static_cast<double>(seen.count());
  if (seen.many()) {
    p_ = inverse_of(inverse_of(p_).mul_(lambda).add_(seen.gram(), 1 / rows));
    return;
  }
  const Tensor a = seen.few() / std::sqrt(rows), u = a.mm(p_);  // [R, inputs]
  const Tensor s = u.mm(a.t()).add_(at::eye(a.size(0), a.options()), lambda);
  const auto [lower, failed] = at::linalg_cholesky_ex(0.5 * (s + s.t()));
  const Tensor v = at::linalg_solve_triangular(lower, u, /*upper=*/false);
  p_.sub_(v.t().mm(v)).div_(lambda);
  p_ = (p_ + p_.t()).mul_(0.5);
  if (failed.item<int>() != 0) p_.fill_(NAN);
}

void InverseCorrelation::average_rows(const SeenRows& seen) {
  const double lambda = settings_.lambda, rows = static_cast<double>(seen.count());
  const Tensor a = seen.many() ? Tensor() : seen.few();
  sigma_.mul_(lambda).add_(seen.many() ? seen.gram() : a.t().mm(a), (1 - lambda) / rows);
  if (age_++ % settings_.every == 0)
    p_ = inverse_of(sigma_ + settings_.damping * at::eye(inputs(), sigma_.options()));
}

Tensor InverseCorrelation::inverse_of(const Tensor& matrix) {
  const auto [lower, failed] = at::linalg_cholesky_ex(0.5 * (matrix + matrix.t()));
  Tensor out = at::cholesky_inverse(lower);
  if (failed.item<int>() != 0) out.fill_(NAN);
  return out;
}

void InverseCorrelation::hold_back() {
  if (settings_.lambda >= 1) return;
  const double limit = settings_.cap * settings_.p0 * static_cast<double>(inputs());
  p_.mul_(p_.trace().reciprocal().mul_(limit).clamp_max_(1));
}

void InverseCorrelation::state(StateIO io, const std::string& name) {
  const int64_t inputs = this->inputs();
  const auto one = [&](const std::string& key, Tensor& mine) {
    if (!io.is_loading()) return io.tensor(key, mine);
    Tensor found;
    io.tensor(key, found);
    if (found.dim() != 2 || found.size(0) != found.size(1) ||
        found.scalar_type() != mine.scalar_type())
      throw Error("checkpoint entry '" + key + "' is no square matrix of the run's numbers: " +
                  "it is damaged or another run's");
    if (found.size(0) != inputs)
      throw Error(text::cat("checkpoint entry '", key, "' has ", found.size(0),
                            " rows, but the parameter has ", inputs,
                            " inputs: it is another run's"));
    mine = found.to(mine.device());
  };
  one(name, p_);
  if (!sigma_.defined()) return;
  one(name + ".sigma", sigma_);
  io.integer(name + ".age", age_);
}

}  // namespace altprop
