// Pooling by a softmax-weighted mean: analytic where max pooling is not. Laborieux & Zenke 2022,
// arXiv 2209.00530, section 4.
#pragma once

#include "altprop/network/ops/planar_form.h"

namespace altprop {

/// [B, C, H, W], windows of `kernel` squared side by side; a remainder at the far border is left
/// out. Low temperatures approach max pooling, high ones average pooling. Saved.t = {dout/dinput}.
class SoftmaxPool final : public Op, public PlanarForm {
 public:
  /// @throws Refusal for a kernel below 1 or a temperature that is not positive
  SoftmaxPool(int64_t kernel, double temperature);
  std::string type() const override { return "softmax_pool2d"; }
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;

  const PlanarForm* planar() const override { return this; }
  Tensor planar_forward(const Tensor& x, const PlanarRows& rows, Saved& saved) const override;
  Tensor planar_pull(const Saved& saved, const Tensor& cot, const PlanarRows& rows) const override;

 private:
  int64_t kernel_;
  double temperature_;
};

OpPtr softmax_pool2d(int64_t kernel, double temperature = 1);

}  // namespace altprop
