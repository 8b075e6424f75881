#include "altprop/network/ops/pool.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop {

Pool::Pool(const Window& window, bool one_d, std::string type)
    : window_(window), one_d_(one_d), type_(std::move(type)) {
  if (window_.stride == 0) window_.stride = window_.kernel;
  const Window& w = window_;
  if (w.kernel < 1 || w.stride < 1)
    throw Refusal(type_, text::cat("kernel and stride must be at least 1, but are ", w.kernel,
                                   " and ", w.stride));
  if (w.padding < 0 || 2 * w.padding > w.kernel)
    throw Refusal(type_, text::cat("the padding must be between 0 and half the kernel ", w.kernel,
                                   ", but is ", w.padding));
  kernel_ = {one_d ? 1 : w.kernel, w.kernel};
  stride_ = {one_d ? 1 : w.stride, w.stride};
  padding_ = {one_d ? 0 : w.padding, w.padding};
}

std::string Pool::settings() const {
  std::string out = text::cat("kernel=", window_.kernel);
  if (window_.stride != window_.kernel) out += text::cat(",stride=", window_.stride);
  if (window_.padding != 0) out += text::cat(",padding=", window_.padding);
  return out;
}

Spec Pool::infer(std::span<const Spec> inputs) const {
  expect_rank(type_, inputs[0], one_d_ ? 2 : 3,
              one_d_ ? "channels, length" : "channels, height, width");
  Spec out = inputs[0];
  for (size_t d = 1; d < out.shape.size(); ++d)
    out.shape[d] =
        window_positions(type_, out.shape[d], window_.kernel, window_.stride, window_.padding);
  return out;
}

Tensor Pool::stand_in(const Saved& saved, const Tensor& cot, const Tensor& model) const {
  std::vector<int64_t> shape = with_rows(saved.shape, cot.size(0));
  if (one_d_) shape.insert(shape.begin() + 2, 1);
  // Never read, so it needs no memory of its own: the largest credits of a network are found here.
  const Tensor layout =
      at::empty(shape, cot.options().device(at::kMeta), model.suggest_memory_format());
  return at::from_blob(cot.data_ptr(), shape, layout.strides(), cot.options());
}

Tensor MaxPool::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  auto [out, winners] =
      at::max_pool2d_with_indices(as_image(inputs[0]), kernel_, stride_, padding_);
  saved.t.assign(1, winners);
  saved.shape = inputs[0].sizes().vec();
  return from_image(out);
}

Tensor MaxPool::vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const {
  const Tensor winners = match_rows(saved.t[0], cot);
  return from_image(at::max_pool2d_with_indices_backward(
      stored_like(as_image(cot), winners), stand_in(saved, cot, winners), kernel_, stride_,
      padding_, {1, 1}, false, winners));
}

Tensor MaxPool::jvp(const Saved& saved, const Tensor& tangent, int) const {
  const Tensor winners = match_rows(saved.t[0], tangent);
  return from_image(
      as_image(tangent).flatten(2).gather(2, winners.flatten(2)).view(winners.sizes()));
}

Tensor AveragePool::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.shape = inputs[0].sizes().vec();
  return jvp(saved, inputs[0], 0);
}

Tensor AveragePool::jvp(const Saved&, const Tensor& tangent, int) const {
  return from_image(at::avg_pool2d(as_image(tangent), kernel_, stride_, padding_));
}

Tensor AveragePool::vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const {
  return from_image(at::avg_pool2d_backward(
      as_image(cot), stand_in(saved, cot, as_image(cot)), kernel_, stride_, padding_,
      /*ceil_mode=*/false, /*count_include_pad=*/true, std::nullopt));
}

Spec GlobalAveragePool::infer(std::span<const Spec> inputs) const {
  expect_real(type(), inputs[0]);
  if (inputs[0].shape.size() < 2)
    throw Refusal(type(), text::cat("samples of shape [channels, positions...] are expected, but "
                                    "these are ",
                                    shape_text(inputs[0].shape)));
  return {{inputs[0].shape[0]}, Kind::Real};
}

Tensor GlobalAveragePool::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  saved.shape = inputs[0].sizes().vec();
  return jvp(saved, inputs[0], 0);
}

Tensor GlobalAveragePool::jvp(const Saved&, const Tensor& tangent, int) const {
  return tangent.flatten(2).mean(2);
}

Tensor GlobalAveragePool::vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const {
  const std::vector<int64_t> shape = with_rows(saved.shape, cot.size(0));
  int64_t positions = 1;
  for (size_t d = 2; d < shape.size(); ++d) positions *= shape[d];
  std::vector<int64_t> ones(shape.size(), 1);
  ones[0] = shape[0];
  ones[1] = shape[1];
  return cot.div(static_cast<double>(positions)).view(ones).expand(shape);
}

OpPtr max_pool2d(int64_t kernel, int64_t stride, int64_t padding) {
  return std::make_shared<MaxPool>(Window{kernel, stride, padding}, false);
}
OpPtr max_pool1d(int64_t kernel, int64_t stride, int64_t padding) {
  return std::make_shared<MaxPool>(Window{kernel, stride, padding}, true);
}
OpPtr average_pool2d(int64_t kernel, int64_t stride, int64_t padding) {
  return std::make_shared<AveragePool>(Window{kernel, stride, padding}, false);
}
OpPtr average_pool1d(int64_t kernel, int64_t stride, int64_t padding) {
  return std::make_shared<AveragePool>(Window{kernel, stride, padding}, true);
}
OpPtr global_average_pool() { return std::make_shared<GlobalAveragePool>(); }

}  // namespace altprop
