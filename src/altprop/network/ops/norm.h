// Normalisation. Gains are no feedback weights (weight() is null): credit crosses a norm exactly,
// whatever the rule. A substitute given to vjp stands for the gain, for rules that refuse to
// transport even that. They are affine in the gain, which has a number for each feature, and `rows`
// are the inputs as they are normalised.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// Batch norm of [B, C] or [B, C, ...] per channel (Ioffe & Szegedy 2015, arXiv 1502.03167):
/// y = gain (x - mean) / sqrt(var + eps) + bias.
///
/// Train uses the batch's mean and (biased) variance and moves the running ones by `momentum`
/// towards them (towards the unbiased variance, as PyTorch). Eval uses the running ones. Replay
/// uses those already in Saved and moves nothing; its derivative stays that of the pass it repeats.
///
/// Saved.t = {input, mean [C], 1 / sqrt(var + eps) [C]}. After a Train pass the samples of a batch
/// depend on each other, so a cotangent of K*B rows is refused.
class BatchNorm : public Op {
 public:
  BatchNorm(double eps, double momentum);
  /// Shares these parameters; running statistics are its own.
  BatchNorm(double eps, double momentum, ParamPtr gain, ParamPtr bias) : BatchNorm(eps, momentum) {
    gain_ = std::move(gain);
    bias_ = std::move(bias);
  }

  std::string type() const override { return "batch_norm"; }
  Traits traits() const override {
    return {.couples_samples = true, .needs_others = one_a_channel_};
  }
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  std::optional<WeightRows> rows(const Saved& saved, const Tensor& cot) const override;
  std::vector<ParamPtr> params() const override;
  std::vector<std::pair<std::string, Tensor*>> buffers() override;

  ParamPtr gain() const override { return gain_; }
  const ParamPtr& bias() const { return bias_; }

 private:
  std::tuple<Tensor, Tensor, Tensor> backward(const Saved& saved, const Tensor& cot,
                                              const Tensor& gain, std::array<bool, 3> wanted) const;

  double eps_, momentum_;
  bool one_a_channel_ = false;  ///< a sample has one value per channel, no variance of its own
  ParamPtr gain_, bias_;
  // Moved by every Train pass, which is const: the statistics are a by-product, not a setting.
  mutable Tensor running_mean_, running_var_;
};

/// Batch norm by its running statistics in training, too: of a model whose norms are frozen.
class FixedBatchNorm : public BatchNorm {
 public:
  using BatchNorm::BatchNorm;
  std::string type() const override { return "fixed_batch_norm"; }
  Traits traits() const override { return {}; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override {
    Pass fixed = pass;
    if (fixed.mode == Mode::Train) fixed.mode = Mode::Eval;
    return BatchNorm::forward(inputs, saved, fixed);
  }
};

/// Layer norm (Ba, Kiros, Hinton 2016, arXiv 1607.06450) of each sample, over the last dimension or
/// over all dimensions but the batch. Gain and bias have the shape that is normalised over.
/// Saved.t = {input, mean, 1 / sqrt(var + eps)}.
class LayerNorm : public Op {
 public:
  LayerNorm(double eps, bool all_features);
  /// Shares these parameters.
  LayerNorm(double eps, bool all_features, ParamPtr gain, ParamPtr bias)
      : LayerNorm(eps, all_features) {
    gain_ = std::move(gain);
    bias_ = std::move(bias);
  }

  std::string type() const override { return "layer_norm"; }
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                 Sweep& sweep) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  std::optional<WeightRows> rows(const Saved& saved, const Tensor& cot) const override;
  std::vector<ParamPtr> params() const override;

  ParamPtr gain() const override { return gain_; }
  const ParamPtr& bias() const { return bias_; }

 private:
  std::tuple<Tensor, Tensor, Tensor> backward(const Saved& saved, const Tensor& cot,
                                              const Tensor& gain, std::array<bool, 3> wanted) const;

  double eps_;
  bool all_features_;
  ParamPtr gain_, bias_;
};

OpPtr batch_norm(double eps = 1e-5, double momentum = 0.1);
/// @param all_features over all dimensions but the batch instead of the last one
OpPtr layer_norm(double eps = 1e-5, bool all_features = false);

}  // namespace altprop
