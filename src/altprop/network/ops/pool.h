// Pooling over windows of the last two dimensions ([B, C, H, W]); the 1-d forms take [B, C, L].
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// A sliding window, in input elements. Positions are rounded down, so that a remainder at the far
/// border is left out.
struct Window {
  int64_t kernel, stride, padding;
};

/// What the two pooling operations share: shapes, and 1-d inputs seen as images of height 1.
class Pool : public Op {
 public:
  Pool(const Window& window, bool one_d, std::string type);
  std::string type() const override { return type_; }
  std::string settings() const override;
  const Window& window() const { return window_; }
  bool one_d() const { return one_d_; }
  Takes takes(int) const override {
    return {.instead_of_times = "use earliest-pool, the first spike of each window"};
  }
  Spec infer(std::span<const Spec> inputs) const override;

 protected:
  Tensor as_image(const Tensor& x) const { return one_d_ ? x.unsqueeze(2) : x; }
  Tensor from_image(const Tensor& x) const { return one_d_ ? x.squeeze(2) : x; }
  /// What the kernels of the derivatives ask for as the input, of which they read only shape and
  /// layout: shape of the saved one, rows of the cotangent, layout of `model`.
  Tensor stand_in(const Saved& saved, const Tensor& cot, const Tensor& model) const;

  std::vector<int64_t> kernel_, stride_, padding_;  ///< height, width

 private:
  Window window_;
  bool one_d_;
  std::string type_;
};

/// The largest value of each window; of equal ones the first. Padding never wins. Saved.t =
/// {position of the winner within its plane, int64, output's shape}.
class MaxPool : public Pool {
 public:
  MaxPool(const Window& window, bool one_d)
      : Pool(window, one_d, one_d ? "max_pool1d" : "max_pool2d") {}
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override { return {.response = Response::Selects}; }
};

/// The mean of each window, padding counted as zeros (PyTorch's default). Saved.shape only.
class AveragePool : public Pool {
 public:
  AveragePool(const Window& window, bool one_d)
      : Pool(window, one_d, one_d ? "average_pool1d" : "average_pool2d") {}
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override { return {.response = Response::Linear}; }
};

/// The mean over all positions: [B, C, ...] to [B, C]. Saved.shape only.
class GlobalAveragePool : public Op {
 public:
  std::string type() const override { return "global_average_pool"; }
  Takes takes(int) const override {
    return {.instead_of_times = "use earliest-pool, the first spike of each window"};
  }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override { return {.response = Response::Linear}; }
};

/// @param stride 0: same as `kernel`
OpPtr max_pool2d(int64_t kernel, int64_t stride = 0, int64_t padding = 0);
OpPtr max_pool1d(int64_t kernel, int64_t stride = 0, int64_t padding = 0);
OpPtr average_pool2d(int64_t kernel, int64_t stride = 0, int64_t padding = 0);
OpPtr average_pool1d(int64_t kernel, int64_t stride = 0, int64_t padding = 0);
OpPtr global_average_pool();

}  // namespace altprop
