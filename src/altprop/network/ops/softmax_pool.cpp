#include "altprop/network/ops/softmax_pool.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"
#include "altprop/tensor/softmax_pool.h"

namespace altprop {

SoftmaxPool::SoftmaxPool(int64_t kernel, double temperature)
    : kernel_(kernel), temperature_(temperature) {
  if (kernel < 1)
    throw Refusal(type(), text::cat("the kernel must be at least 1, but is ", kernel));
  if (!(temperature > 0))
    throw Refusal(type(), text::cat("the temperature must be positive, but is ", temperature));
}

std::string SoftmaxPool::settings() const {
  return text::cat("kernel=", kernel_, ",temperature=", text::from_number(temperature_));
}

Spec SoftmaxPool::infer(std::span<const Spec> inputs) const {
  expect_rank(type(), inputs[0], 3, "channels, height, width");
  Spec out = inputs[0];
  for (size_t d = 1; d < 3; ++d)
    out.shape[d] = window_positions(type(), out.shape[d], kernel_, kernel_, 0);
  return out;
}

Tensor SoftmaxPool::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  return planar_forward(inputs[0], {inputs[0].size(0), 0}, saved);
}

Tensor SoftmaxPool::planar_forward(const Tensor& x, const PlanarRows& rows, Saved& saved) const {
  SoftmaxPooled pooled = softmax_pool(x, rows, kernel_, temperature_);
  saved.t.assign(1, pooled.slope);
  return pooled.out;
}

Tensor SoftmaxPool::planar_pull(const Saved& saved, const Tensor& cot,
                                const PlanarRows& rows) const {
  return softmax_pool_pull(saved.t[0], cot, rows, kernel_);
}

Tensor SoftmaxPool::vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const {
  return softmax_pool_pull(match_rows(saved.t[0], cot), cot, {cot.size(0), 0}, kernel_);
}

Tensor SoftmaxPool::jvp(const Saved& saved, const Tensor& tangent, int) const {
  return softmax_pool_push(match_rows(saved.t[0], tangent), tangent, kernel_);
}

OpPtr softmax_pool2d(int64_t kernel, double temperature) {
  return std::make_shared<SoftmaxPool>(kernel, temperature);
}

}  // namespace altprop
