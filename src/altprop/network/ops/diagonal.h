// A weight of its own for each feature: a = w * h + b, elementwise.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// input [B, ...]; w and b have the shape of one sample. Saved.t = {input}.
class Diagonal : public Op {
 public:
  explicit Diagonal(bool bias) : with_bias_(bias) {}
  /// Shares these parameters; `bias` may be null.
  Diagonal(ParamPtr weight, ParamPtr bias)
      : with_bias_(bias != nullptr), weight_(std::move(weight)), bias_(std::move(bias)) {}

  std::string type() const override { return "diagonal"; }
  std::string settings() const override { return with_bias_ ? "" : "bias=false"; }
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  Saved saved_for(const Tensor& input) const override {
    return {.t = {input}, .shape = input.sizes().vec()};
  }
  std::optional<WeightRows> rows(const Saved& saved, const Tensor& cot) const override;
  std::vector<ParamPtr> params() const override;
  ParamPtr weight() const override { return weight_; }
  int64_t multiply_adds(std::span<const Spec> inputs) const override { return inputs[0].numel(); }
  OpPtr with_weight(const ParamPtr& weight) const override {
    return std::make_shared<Diagonal>(weight, nullptr);
  }
  Traits traits() const override { return {.response = Response::Linear, .affine = true}; }

 private:
  bool with_bias_;
  ParamPtr weight_, bias_;
};

OpPtr diagonal(bool bias = true);

}  // namespace altprop
