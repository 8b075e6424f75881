// Operations that move numbers about: flatten, reshape, enlarge, and the parameter-free shortcut of
// residual networks. All are linear; each keeps only Saved.shape.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// A linear operation without parameters: forward is its own jvp.
class LinearMap : public Op {
 public:
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override {
    return apply(tangent);
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Traits traits() const override { return {.response = Response::Linear}; }

 protected:
  virtual Tensor apply(const Tensor& x) const = 0;
  /// @param shape of the input, batch included, with the rows of `cot`
  virtual Tensor transposed(const Tensor& cot, IntArrayRef shape) const = 0;
};

/// Samples in another shape; the output shares the input's memory.
class Reshape : public LinearMap {
 public:
  /// @param shape of a sample, one extent may be -1 (what is left); empty: flatten
  explicit Reshape(std::vector<int64_t> shape);
  std::string type() const override { return shape_.empty() ? "flatten" : "reshape"; }
  std::string settings() const override;
  Takes takes(int) const override { return Takes::anything(); }
  Spec infer(std::span<const Spec> inputs) const override;
  bool keeps_output() const override { return true; }
  Traits traits() const override {
    return {.response = Response::Linear, .rearranges = true, .reshapes = true, .views = true};
  }

 protected:
  Tensor apply(const Tensor& x) const override;
  Tensor transposed(const Tensor& cot, IntArrayRef shape) const override;

 private:
  std::vector<int64_t> shape_;
};

/// Height and width times `scale`; bilinear interpolation is between the centres of the elements
/// (PyTorch's align_corners = false).
class Upsample : public LinearMap {
 public:
  Upsample(int64_t scale, const std::string& mode);
  std::string type() const override { return "upsample2d"; }
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;

 protected:
  Tensor apply(const Tensor& x) const override;
  Tensor transposed(const Tensor& cot, IntArrayRef shape) const override;

 private:
  int64_t scale_;
  bool bilinear_;
};

/// Option A of He et al. 2015 (arXiv 1512.03385, section 4.2): every `stride`-th row and column,
/// and zero channels, half of them (rounded down) before the input's channels and the rest behind.
class ShortcutA : public LinearMap {
 public:
  ShortcutA(int64_t stride, int64_t out_channels);
  std::string type() const override { return "shortcut_a"; }
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;

 protected:
  Tensor apply(const Tensor& x) const override;
  Tensor transposed(const Tensor& cot, IntArrayRef shape) const override;

 private:
  int64_t stride_, out_;
};

OpPtr flatten();
OpPtr reshape(std::vector<int64_t> shape);
/// @param mode "nearest" or "bilinear"
OpPtr upsample2d(int64_t scale, const std::string& mode = "nearest");
OpPtr shortcut_a(int64_t stride, int64_t out_channels);

}  // namespace altprop
