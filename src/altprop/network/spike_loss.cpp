#include "altprop/network/spike_loss.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/right.h"

namespace altprop {

namespace {

/// What both have in common: what they are for, and when an answer is right.
struct SpikeLoss : Loss {
  SpikeLossSettings s;
  explicit SpikeLoss(const SpikeLossSettings& settings) : s(settings) {
    if (!std::isfinite(s.silent_at))
      throw UsageError("spike.silent-at, the time that stands for a silent unit, must be finite");
  }
  bool takes(Kind kind) const override { return kind == Kind::SpikeTime; }
  Tensor right(const Tensor& output, const Tensor& target) const override {
    return target.is_floating_point() ? Tensor() : right::earliest(output, target);
  }
  /// The times with which is calculated: NaN stays, so that it shows.
  Tensor standing(const Tensor& times) const {
    return times.masked_fill(times.isinf(), s.silent_at);
  }
};

struct SpikeCrossEntropy : SpikeLoss {
  explicit SpikeCrossEntropy(const SpikeLossSettings& settings) : SpikeLoss(settings) {
    if (!(s.kappa > 0) || !std::isfinite(s.kappa))
      throw UsageError("spike.kappa, by which times are multiplied, must be positive and finite");
  }
  std::string name() const override { return "spike-cross-entropy"; }
  bool is_surprise() const override { return true; }
  std::string help() const override {
    return "softmax cross-entropy of who fires first, softmax(-kappa t); gradient kappa (onehot - "
           "softmax)";
  }
  Tensor logits(const Tensor& times) const { return standing(times).mul_(-s.kappa); }
  Tensor value(const Tensor& output, const Tensor& target) const override {
    return (as_rows(target, output) * at::log_softmax(logits(output), 1)).sum(1).neg_();
  }
  Tensor gradient(const Tensor& output, const Tensor& target) const override {
    const Tensor rows = as_rows(target, output);
    return (rows - at::softmax(logits(output), 1) * rows.sum(1, true)).mul_(s.kappa);
  }
  Tensor curvature(const Tensor& output, const Tensor& target,
                   const Tensor& direction) const override {
    const Tensor p = at::softmax(logits(output), 1), along = p * direction;
    return (along - p * along.sum(1, true)).mul_(s.kappa * s.kappa) *
           as_rows(target, output).sum(1, true);
  }
  Tensor link(const Tensor& output) const override { return at::softmax(logits(output), 1); }
  void admit(const std::vector<int64_t>& output, const Tensor& targets) const override {
    make_loss("cross-entropy")->admit(output, targets);
  }
};

struct SpikeSquaredError : SpikeLoss {
  explicit SpikeSquaredError(const SpikeLossSettings& settings) : SpikeLoss(settings) {
    if (!(s.early < s.late) || !std::isfinite(s.early) || !std::isfinite(s.late))
      throw UsageError(
          text::cat("spike.early, the target time of the right class, must be before "
                    "spike.late, that of the others, but they are ",
                    text::from_number(s.early), " and ", text::from_number(s.late)));
  }
  std::string name() const override { return "spike-squared-error"; }
  std::string help() const override {
    return "half the squared distance of spike times to target times; gradient t - t*";
  }
  Tensor wanted(const Tensor& output, const Tensor& target) const {
    const Tensor rows = as_rows(target, output);
    return target.is_floating_point() ? rows : (rows * (s.early - s.late)).add_(s.late);
  }
  Tensor value(const Tensor& output, const Tensor& target) const override {
    return (standing(output) - wanted(output, target)).square_().flatten(1).sum(1).mul_(0.5);
  }
  Tensor gradient(const Tensor& output, const Tensor& target) const override {
    return standing(output).sub_(wanted(output, target));
  }
  Tensor curvature(const Tensor&, const Tensor&, const Tensor& direction) const override {
    return direction.clone();
  }
  /// The times themselves.
  Tensor link(const Tensor& output) const override { return output; }
};

}  // namespace

std::unique_ptr<Loss> make_spike_cross_entropy(const SpikeLossSettings& settings) {
  return std::make_unique<SpikeCrossEntropy>(settings);
}

std::unique_ptr<Loss> make_spike_squared_error(const SpikeLossSettings& settings) {
  return std::make_unique<SpikeSquaredError>(settings);
}

}  // namespace altprop
