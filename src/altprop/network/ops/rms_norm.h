// Root mean square norm (Zhang & Sennrich 2019, arXiv 1910.07467): layer norm without the mean.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// Of the last dimension of [B, ..., D]: y = gain x / sqrt(mean x^2 + eps), equation 4. Saved.t =
/// {input, 1 / sqrt(mean x^2 + eps) [B, ..., 1]}. As with the other norms, weight() is null, and a
/// substitute is the gain's.
class RmsNorm : public Op {
 public:
  explicit RmsNorm(double eps);
  /// Shares the gain.
  RmsNorm(double eps, ParamPtr gain) : RmsNorm(eps) { gain_ = std::move(gain); }

  std::string type() const override { return "rms_norm"; }
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
  /// J of x / rms(x), which is symmetric, times the rows of `t`.
  Tensor across(const Saved& saved, const Tensor& t) const;
  Tensor normalised(const Saved& saved, const Tensor& like) const;

  double eps_;
  ParamPtr gain_;
};

OpPtr rms_norm(double eps = 1e-5);

}  // namespace altprop
