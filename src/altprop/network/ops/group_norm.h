// Group norm (Wu & He 2018, arXiv 1803.08494): as layer norm of each group of channels of a sample,
// so that it needs neither a batch nor running statistics.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// Of [B, C, ...], C divisible by `groups`: y = gain_c (x - mean) / sqrt(var + eps) + bias_c, mean
/// and variance over the channels of a group and all positions. Saved.t = {input, mean [B, groups],
/// 1 / sqrt(var + eps)}. As with the other norms, weight() is null, and a substitute is the gain's.
class GroupNorm : public Op {
 public:
  GroupNorm(int64_t groups, double eps);
  /// Shares these parameters.
  GroupNorm(int64_t groups, double eps, ParamPtr gain, ParamPtr bias) : GroupNorm(groups, eps) {
    gain_ = std::move(gain);
    bias_ = std::move(bias);
  }

  std::string type() const override { return "group_norm"; }
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  std::optional<WeightRows> rows(const Saved& saved, const Tensor& cot) const override;
  std::vector<ParamPtr> params() const override;
  ParamPtr gain() const override { return gain_; }

 private:
  /// (x - mean) / sqrt(var + eps), for the rows of `like`.
  Tensor normalised(const Saved& saved, const Tensor& like) const;
  /// [.., groups, rest], and one number per group as a factor of that.
  Tensor grouped(const Tensor& t) const { return t.reshape({t.size(0), groups_, -1}); }
  /// A vector of the channels as a factor of [B, C, ...].
  Tensor per_channel(const Tensor& vector, const Tensor& like) const;

  int64_t groups_;
  double eps_;
  ParamPtr gain_, bias_;
};

OpPtr group_norm(int64_t groups, double eps = 1e-5);

}  // namespace altprop
