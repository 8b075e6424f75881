// Convolutions: one class for 1-d, 2-d and transposed 2-d.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// Lengths are in input elements (of the output, for a transposed convolution).
struct ConvSettings {
  int64_t out;           ///< output channels
  int64_t kernel = 3;    ///< height; of conv1d, the length
  int64_t kernel_w = 0;  ///< width; 0: same as `kernel`
  int64_t stride = 1, padding = 0, dilation = 1;
  int64_t groups = 1;  ///< both channel counts must be divisible by it
  bool bias = true;
  int64_t output_padding = 0;  ///< transposed only: rows and columns added at the far border
};

/// input [B, C, H, W] (conv1d: [B, C, L]); weight as in PyTorch: [out, C / groups, kh, kw], of a
/// transposed convolution [C, out / groups, kh, kw]; bias [out]. Saved.t = {input}, of which only
/// `accumulate` reads the values; vjp needs Saved.shape alone.
class Conv final : public Op {
 public:
  enum class Form { OneD, TwoD, TransposedTwoD };

  Conv(Form form, const ConvSettings& settings);
  /// Shares these parameters (tied weights); `bias` may be null. `settings.out`, kernel and bias
  /// are taken from them. @throws Refusal if the weight has the wrong number of dimensions
  Conv(Form form, const ConvSettings& settings, ParamPtr weight, ParamPtr bias);

  std::string type() const override;
  std::string settings() const override;
  Takes takes(int) const override {
    return {.instead_of_times = "use relpsp-event-conv or relpsp-window-conv, which weigh spikes"};
  }
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
  Saved saved_for(const Tensor& input) const override {
    return {.t = {input}, .shape = input.sizes().vec()};
  }
  std::vector<ParamPtr> params() const override;
  ParamPtr weight() const override { return weight_; }
  int64_t multiply_adds(std::span<const Spec> inputs) const override;
  std::optional<Channels> channels() const override;
  OpPtr with_weight(const ParamPtr& weight) const override {
    return std::make_shared<Conv>(form_, settings_, weight, nullptr);
  }
  Traits traits() const override { return {.response = Response::Linear, .affine = true}; }
  Form form() const { return form_; }
  const ConvSettings& chosen() const { return settings_; }

 private:
  bool transposed() const { return form_ == Form::TransposedTwoD; }
  size_t dims() const { return form_ == Form::OneD ? 1 : 2; }
  std::vector<int64_t> weight_shape(int64_t channels) const;
  Tensor stored(const Tensor& images) const;
  Tensor apply(const Tensor& x, const Tensor& weight, const Tensor& bias) const;
  std::tuple<Tensor, Tensor, Tensor> backward(const Tensor& cot, const Tensor& input,
                                              const Tensor& weight, bool to_input, bool to_weight,
                                              bool to_bias) const;

  Form form_;
  ConvSettings settings_;
  std::vector<int64_t> kernel_, stride_, padding_, dilation_, output_padding_;  ///< per dimension
  ParamPtr weight_, bias_;
};

OpPtr conv1d(const ConvSettings& settings);
OpPtr conv2d(const ConvSettings& settings);
OpPtr conv_transpose2d(const ConvSettings& settings);
/// With parameters shared with another operation.
OpPtr conv1d(const ConvSettings& settings, ParamPtr weight, ParamPtr bias);
OpPtr conv2d(const ConvSettings& settings, ParamPtr weight, ParamPtr bias);
OpPtr conv_transpose2d(const ConvSettings& settings, ParamPtr weight, ParamPtr bias);

}  // namespace altprop
