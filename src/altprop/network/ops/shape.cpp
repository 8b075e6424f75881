#include "altprop/network/ops/shape.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop {

Tensor LinearMap::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.shape = inputs[0].sizes().vec();
  return apply(inputs[0]);
}

Tensor LinearMap::vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const {
  return transposed(cot, with_rows(saved.shape, cot.size(0)));
}

// ---- reshape ----

Reshape::Reshape(std::vector<int64_t> shape) : shape_(std::move(shape)) {
  int open = 0;
  for (int64_t extent : shape_) {
    open += extent == -1;
    if (extent != -1 && extent < 1)
      throw Refusal(type(), text::cat("an extent must be positive or -1, but is ", extent));
  }
  if (open > 1) throw Refusal(type(), "only one extent may be -1");
}

std::string Reshape::settings() const {
  std::vector<std::string> extents;
  for (int64_t extent : shape_) extents.push_back(std::to_string(extent));
  return text::join(extents, "x");
}

Spec Reshape::infer(std::span<const Spec> inputs) const {
  const int64_t n = inputs[0].numel();
  Spec out = inputs[0];
  out.shape = shape_;
  if (shape_.empty()) {
    out.shape = {n};
    return out;
  }
  int64_t known = 1;
  for (int64_t extent : shape_)
    if (extent != -1) known *= extent;
  for (int64_t& extent : out.shape)
    if (extent == -1) extent = n / known;
  if (out.numel() != n)
    throw Refusal(type(), text::cat("a sample of shape ", shape_text(inputs[0].shape), " has ", n,
                                    " numbers, which do not fill ", shape_text(shape_)));
  return out;
}

Tensor Reshape::apply(const Tensor& x) const {
  if (shape_.empty()) return x.reshape({x.size(0), -1});
  std::vector<int64_t> shape = {x.size(0)};
  for (int64_t extent : shape_) shape.push_back(extent);
  return x.reshape(shape);
}

Tensor Reshape::transposed(const Tensor& cot, IntArrayRef shape) const {
  return cot.reshape(shape);
}

// ---- upsample ----

Upsample::Upsample(int64_t scale, const std::string& mode)
    : scale_(scale), bilinear_(mode == "bilinear") {
  if (scale < 1) throw Refusal(type(), text::cat("the scale must be at least 1, but is ", scale));
  if (!bilinear_ && mode != "nearest")
    throw Refusal(type(), "there is no mode '" + mode + "'", "use nearest or bilinear");
}

std::string Upsample::settings() const {
  return text::cat("scale=", scale_, bilinear_ ? ",mode=bilinear" : "");
}

Spec Upsample::infer(std::span<const Spec> inputs) const {
  expect_rank(type(), inputs[0], 3, "channels, height, width");
  const std::vector<int64_t>& in = inputs[0].shape;
  return {{in[0], in[1] * scale_, in[2] * scale_}, Kind::Real};
}

Tensor Upsample::apply(const Tensor& x) const {
  const std::vector<int64_t> size = {x.size(2) * scale_, x.size(3) * scale_};
  return bilinear_ ? at::upsample_bilinear2d(x, size, false) : at::upsample_nearest2d(x, size);
}

Tensor Upsample::transposed(const Tensor& cot, IntArrayRef shape) const {
  const IntArrayRef size = cot.sizes().slice(2);
  return bilinear_ ? at::upsample_bilinear2d_backward(cot, size, shape, false)
                   : at::upsample_nearest2d_backward(cot, size, shape);
}

// ---- shortcut ----

ShortcutA::ShortcutA(int64_t stride, int64_t out_channels) : stride_(stride), out_(out_channels) {
  if (stride < 1)
    throw Refusal(type(), text::cat("the stride must be at least 1, but is ", stride));
}

std::string ShortcutA::settings() const { return text::cat("stride=", stride_, ",out=", out_); }

Spec ShortcutA::infer(std::span<const Spec> inputs) const {
  expect_rank(type(), inputs[0], 3, "channels, height, width");
  const std::vector<int64_t>& in = inputs[0].shape;
  if (out_ < in[0])
    throw Refusal(type(),
                  text::cat("it can only add channels, but ", in[0], " should become ", out_));
  return {{out_, (in[1] - 1) / stride_ + 1, (in[2] - 1) / stride_ + 1}, Kind::Real};
}

Tensor ShortcutA::apply(const Tensor& x) const {
  const int64_t added = out_ - x.size(1), before = added / 2;
  return at::constant_pad_nd(
      x.slice(2, 0, std::nullopt, stride_).slice(3, 0, std::nullopt, stride_),
      {0, 0, 0, 0, before, added - before});
}

Tensor ShortcutA::transposed(const Tensor& cot, IntArrayRef shape) const {
  Tensor out = at::empty(shape, cot.options(), cot.suggest_memory_format()).zero_();
  out.slice(2, 0, std::nullopt, stride_)
      .slice(3, 0, std::nullopt, stride_)
      .copy_(cot.narrow(1, (out_ - shape[1]) / 2, shape[1]));
  return out;
}

OpPtr flatten() { return std::make_shared<Reshape>(std::vector<int64_t>{}); }
OpPtr reshape(std::vector<int64_t> shape) {
  if (shape.empty()) throw Refusal("reshape", "the shape is empty", "use flatten");
  return std::make_shared<Reshape>(std::move(shape));
}
OpPtr upsample2d(int64_t scale, const std::string& mode) {
  return std::make_shared<Upsample>(scale, mode);
}
OpPtr shortcut_a(int64_t stride, int64_t out_channels) {
  return std::make_shared<ShortcutA>(stride, out_channels);
}

}  // namespace altprop
