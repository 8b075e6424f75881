#include "altprop/network/softmax.h"

#include <ATen/Dispatch.h>

#include <algorithm>
#include <cmath>

#include "altprop/tensor/own_kernels.h"

namespace altprop {

namespace {

constexpr int64_t kMostNumbers = 1 << 14;

/// Calls use(row, numbers, class) for every row.
template <class T, class F>
void each_row(const Tensor& output, const Tensor& classes, F&& use) {
  const int64_t rows = output.size(0), width = output.size(1);
  const T* numbers = output.const_data_ptr<T>();
  const int64_t* target = classes.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows; ++i) use(i, numbers + i * width, target[i]);
}

template <class T>
T largest(const T* row, int64_t width) {
  T top = row[0];
  for (int64_t c = 1; c < width; ++c) top = std::max(top, row[c]);
  return top;
}

/// NaN counts as the largest number, as in the library.
template <class T>
int64_t first_largest(const T* row, int64_t width) {
  int64_t at = 0;
  for (int64_t c = 1; c < width && !std::isnan(row[at]); ++c)
    if (row[c] > row[at] || std::isnan(row[c])) at = c;
  return at;
}

}  // namespace

bool softmax_rows_fit(const Tensor& output, const Tensor& classes) {
  const auto type = output.scalar_type();
  return (type == at::kFloat || type == at::kDouble) &&
         own_kernel_reaches(OwnKernel::SoftmaxRows, output) && output.dim() == 2 &&
         output.is_contiguous() && output.numel() > 0 && output.numel() <= kMostNumbers &&
         classes.scalar_type() == at::kLong && classes.dim() == 1 && classes.is_contiguous() &&
         classes.size(0) == output.size(0);
}

Tensor softmax_loss(const Tensor& output, const Tensor& classes) {
  Tensor out = at::empty({output.size(0)}, output.options());
  const int64_t width = output.size(1);
  AT_DISPATCH_FLOATING_TYPES(output.scalar_type(), "softmax_loss", [&] {
    scalar_t* loss = out.mutable_data_ptr<scalar_t>();
    each_row<scalar_t>(output, classes, [&](int64_t i, const scalar_t* row, int64_t target) {
      const scalar_t top = largest(row, width);
      scalar_t sum = 0;
      for (int64_t c = 0; c < width; ++c) sum += std::exp(row[c] - top);
      loss[i] = std::log(sum) - (row[target] - top);
    });
  });
  return out;
}

Tensor softmax_loss_gradient(const Tensor& output, const Tensor& classes) {
  Tensor out = at::empty_like(output);
  const int64_t width = output.size(1);
  AT_DISPATCH_FLOATING_TYPES(output.scalar_type(), "softmax_loss_gradient", [&] {
    scalar_t* gradient = out.mutable_data_ptr<scalar_t>();
    each_row<scalar_t>(output, classes, [&](int64_t i, const scalar_t* row, int64_t target) {
      scalar_t* p = gradient + i * width;
      const scalar_t top = largest(row, width);
      scalar_t sum = 0;
      for (int64_t c = 0; c < width; ++c) sum += p[c] = std::exp(row[c] - top);
      for (int64_t c = 0; c < width; ++c) p[c] /= sum;
      p[target] -= 1;
    });
  });
  return out;
}

int64_t count_right(const Tensor& output, const Tensor& classes) {
  if (!softmax_rows_fit(output, classes)) return output.argmax(1).eq(classes).sum().item<int64_t>();
  int64_t right = 0;
  const int64_t width = output.size(1);
  AT_DISPATCH_FLOATING_TYPES(output.scalar_type(), "count_right", [&] {
    each_row<scalar_t>(output, classes, [&](int64_t, const scalar_t* row, int64_t target) {
      right += first_largest(row, width) == target;
    });
  });
  return right;
}

std::pair<int64_t, int64_t> range_of(const Tensor& classes) {
  if (classes.scalar_type() != at::kLong || !classes.is_contiguous()) {
    const auto [low, high] = at::aminmax(classes);
    return {low.item<int64_t>(), high.item<int64_t>()};
  }
  const int64_t* c = classes.const_data_ptr<int64_t>();
  const auto [low, high] = std::minmax_element(c, c + classes.numel());
  return {*low, *high};
}

}  // namespace altprop
