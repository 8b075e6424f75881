// Affine map of the last dimension: a = h W^T + b.
#pragma once

#include "altprop/network/op.h"
#include "altprop/tensor/linear.h"

namespace altprop {

/// input [B, n_in] or [B, ..., n_in]; W [n_out, n_in]; b [n_out]. Saved.t = {input}.
class Linear final : public Op {
 public:
  Linear(int64_t out, bool bias = true) : out_(out), with_bias_(bias) {}
  /// Shares these parameters (tied weights); `bias` may be null.
  Linear(ParamPtr weight, ParamPtr bias)
      : out_(weight->value.size(0)), with_bias_(bias != nullptr), weight_(weight), bias_(bias) {}

  std::string type() const override { return "linear"; }
  std::string settings() const override;
  Takes takes(int) const override {
    return {.instead_of_times = "use relpsp-event, relpsp-window or membrane, which weigh spikes"};
  }
  Spec infer(std::span<const Spec> inputs) const override;
  void build(std::span<const Spec> inputs) override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  /// Forward pass with the following activation applied in the same call.
  /// @param stored the weight's values in another layout; null: the weight
  Tensor forward_with(const Tensor& input, Saved& saved, Epilogue epilogue,
                      const Tensor* stored = nullptr) const;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Tensor jvp_params(const Saved& saved, const ParamTangents& of) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;
  std::optional<WeightRows> rows(const Saved& saved, const Tensor& cot) const override;
  Saved saved_for(const Tensor& input) const override {
    return {.t = {input}, .shape = input.sizes().vec()};
  }
  std::vector<ParamPtr> params() const override;
  ParamPtr weight() const override { return weight_; }
  std::optional<DenseMap> dense() const override { return DenseMap{weight_, bias_}; }
  int64_t multiply_adds(std::span<const Spec> inputs) const override;
  OpPtr with_weight(const ParamPtr& weight) const override {
    return std::make_shared<Linear>(weight, nullptr);
  }
  Traits traits() const override { return {.response = Response::Linear, .affine = true}; }

 private:
  /// The factors of the weight's gradient: credits [rows, n_out] and inputs [rows, n_in].
  std::pair<Tensor, Tensor> gradient_factors(const Saved& saved, const Tensor& cot) const;

  int64_t out_;
  bool with_bias_;
  ParamPtr weight_, bias_;
};

inline OpPtr linear(int64_t out, bool bias = true) { return std::make_shared<Linear>(out, bias); }

}  // namespace altprop
