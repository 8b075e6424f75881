#include "altprop/network/op.h"

#include "altprop/tensor/linear.h"

namespace altprop {

int64_t Spec::numel() const {
  int64_t n = 1;
  for (int64_t extent : shape) n *= extent;
  return n;
}

void Saved::clear() {
  t.clear();
  shape.clear();
  extra.reset();
  memo = {};
}

Tensor match_rows(const Tensor& saved, const Tensor& cot) {
  if (saved.size(0) == cot.size(0)) return saved;
  TORCH_CHECK(cot.size(0) % saved.size(0) == 0, "a cotangent of ", cot.size(0),
              " rows does not fit an activity of ", saved.size(0));
  std::vector<int64_t> repeats(static_cast<size_t>(saved.dim()), 1);
  repeats[0] = cot.size(0) / saved.size(0);
  return saved.repeat(repeats);
}

void Param::allocate() {
  if (!grad.defined() || grad.sizes() != value.sizes()) grad = at::zeros_like(value);
}

void Param::add_gradient(const Tensor& contribution, double scale) {
  allocate();
  if (fresh) {
    at::mul_out(grad, contribution.view_as(grad), at::scalar_tensor(scale, value.options()));
  } else {
    grad.add_(contribution.view_as(grad), scale);
  }
  fresh = false;
}

void Param::add_gradient_product(const Tensor& a, const Tensor& b, double scale) {
  allocate();
  Tensor matrix = grad.view({a.size(0), b.size(1)});
  gemm_into(matrix, a, b, fresh ? 0 : 1, scale);
  fresh = false;
}

void Param::add_gradient_rows(const Tensor& matrix, double scale) {
  allocate();
  if (fresh) {
    at::sum_out(grad, matrix, {0});
    if (scale != 1) grad.mul_(scale);
  } else {
    grad.add_(matrix.sum(0), scale);
  }
  fresh = false;
}

}  // namespace altprop
