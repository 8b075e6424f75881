#include "altprop/optim/directions/feature_correlation.h"

#include <ATen/ops/linalg_cholesky_ex.h>

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

FeatureCorrelation::FeatureCorrelation(ParamPtr weight, ParamPtr bias,
                                       const CorrelationSettings& settings)
    : settings_(settings), weight_(std::move(weight)), bias_(std::move(bias)) {
  const Tensor one = at::eye(size(), weight_->value.options())
                         .expand({weight_->value.numel(), size(), size()});
  p_ = one * settings.p0;
  if (settings.mode == "exact-ema") sigma_ = one / settings.p0;
}

void FeatureCorrelation::take(const WeightRows& rows) {
  // A few samples at a time: rows are made when asked for.
  const int64_t few = std::max<int64_t>(1, 4096 / std::max<int64_t>(1, rows.per_sample));
  for (int64_t from = 0; from < rows.samples; from += few) {
    const Tensor some = rows.of(from, std::min(from + few, rows.samples)).first;
    const Tensor sum = some.sum(0);
    sum_ = rows_ ? sum_ + sum : sum;
    if (settings_.exact()) {
      const Tensor squares = some.square().sum(0);
      squares_ = rows_ ? squares_ + squares : squares;
    }
    rows_ += some.size(0);
  }
}

void FeatureCorrelation::advance(Store& gradients, double l1) {
  std::vector<Slot*> slots;
  std::vector<Tensor> columns;
  for (const ParamPtr& param : {weight_, bias_}) {
    if (!param) continue;
    Slot* slot = slots.emplace_back(gradients.of(*param));
    slot->settle();
    Tensor column = slot->into.reshape({-1});
    if (l1 > 0) column = column + l1 * param->value.sign().reshape({-1});
    columns.push_back(column);
  }
  const Tensor g = at::stack(columns, 1), along = settings_.exact() ? along_all(g) : along_mean(g);
  for (size_t i = 0; i < slots.size(); ++i) {
    slots[i]->into.copy_(along.select(1, static_cast<int64_t>(i)).reshape(slots[i]->into.sizes()));
    slots[i]->fresh = false;
  }
  rows_ = 0;
}

Tensor FeatureCorrelation::along_mean(const Tensor& g) {
  const double lambda = settings_.lambda, k = settings_.k;
  Tensor x = (sum_ / static_cast<double>(rows_)).unsqueeze(1);
  if (bias_) x = at::cat({x, at::ones_like(x)}, 1);
  const Tensor u = times_p(x);  // P is symmetric
  const Tensor h = (x * u).sum(1, true).clamp_min(0).mul(k).add(lambda);
  sound_ = h.sum();
  const bool post = settings_.mode == "mean-post";
  const Tensor along = post ? Tensor() : times_p(g) / h;
  const Tensor v = u * (k / lambda / h).sqrt();
  p_ = p_ * (1 / lambda) - v.unsqueeze(1) * v.unsqueeze(2);
  hold_back();
  return post ? times_p(g) : along;
}

Tensor FeatureCorrelation::along_all(const Tensor& g) {
  const double lambda = settings_.lambda;
  const Tensor seen = mean_products();
  if (sigma_.defined()) {
    sigma_ = lambda * sigma_ + (1 - lambda) * seen;
    if (age_++ % settings_.every == 0)
      p_ = inverse_of(sigma_ + settings_.damping * at::eye(size(), sigma_.options()));
  } else {
    p_ = inverse_of(lambda * inverse_of(p_) + seen);
    hold_back();
  }
  sound_ = p_.sum();
  return times_p(g);
}

Tensor FeatureCorrelation::mean_products() const {
  const double rows = static_cast<double>(rows_);
  const Tensor squares = squares_ / rows, mean = sum_ / rows;
  if (!bias_) return squares.view({-1, 1, 1});
  return at::stack({squares, mean, mean, at::ones_like(mean)}, 1).view({-1, 2, 2});
}

Tensor FeatureCorrelation::inverse_of(const Tensor& matrices) {
  const auto [lower, failed] = at::linalg_cholesky_ex(0.5 * (matrices + matrices.mT()));
  return at::cholesky_inverse(lower).masked_fill_(failed.ne(0).view({-1, 1, 1}), NAN);
}

void FeatureCorrelation::hold_back() {
  if (settings_.lambda >= 1) return;
  const double limit = settings_.cap * settings_.p0 * static_cast<double>(size());
  const Tensor trace = p_.diagonal(0, 1, 2).sum(1);
  p_ = p_ * trace.reciprocal().mul_(limit).clamp_max_(1).view({-1, 1, 1});
}

namespace {
/// "norm1.weight.features": where a checkpoint has P.
std::string entry_of(const std::string& weight) { return weight + ".features"; }
}  // namespace

void FeatureCorrelation::state(StateIO io) {
  const auto one = [&](const std::string& key, Tensor& mine) {
    if (!io.is_loading()) return io.tensor(key, mine);
    Tensor found;
    io.tensor(key, found);
    if (found.sizes() != mine.sizes() || found.scalar_type() != mine.scalar_type())
      throw Error(text::cat("checkpoint entry '", key, "' has the shape ",
                            shape_text(found.sizes()), ", but the parameter needs ",
                            shape_text(mine.sizes()), ": it is another run's"));
    mine = found.to(mine.device());
  };
  const std::string name = entry_of(weight_->name);
  one(name, p_);
  if (!sigma_.defined()) return;
  one(name + ".sigma", sigma_);
  io.integer(name + ".age", age_);
}

void FeatureCorrelations::clear() {
  all_.clear();
  loaded_.clear();
}

FeatureCorrelation& FeatureCorrelations::of(const ParamPtr& weight, const ParamPtr& bias) {
  const auto [found, is_new] = all_.try_emplace(weight->name, weight, bias, settings_);
  if (const auto loaded = loaded_.find(weight->name); is_new && loaded != loaded_.end()) {
    found->second.state(StateIO::loading(loaded->second));
    loaded_.erase(loaded);
  }
  return found->second;
}

void FeatureCorrelations::state(StateIO io, const std::string& weight) {
  const std::string name = entry_of(weight);
  if (!io.is_loading()) {
    if (const auto found = all_.find(weight); found != all_.end()) return found->second.state(io);
    if (const auto loaded = loaded_.find(weight); loaded != loaded_.end())
      for (auto& [entry, value] : loaded->second) io.tensor(entry, value);
    return;
  }
  all_.erase(weight);
  loaded_.erase(weight);
  for (const char* part : {"", ".sigma", ".age"})
    if (io.has(name + part)) io.tensor(name + part, loaded_[weight][name + part]);
}

}  // namespace altprop
