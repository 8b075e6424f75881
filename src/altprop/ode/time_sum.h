// Numbers of which the credits of times are made: of the whole batch or, where samples have steps
// of their own, of each sample.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop::ode {

/// <credit, tangent>, where the credit may be that of K cotangents and have K times the rows: of
/// everything, or of each of the samples that lie along `dim`.
inline Tensor products(const Tensor& credit, const Tensor& tangent, int dim, bool each) {
  std::vector<int64_t> parted = tangent.sizes().vec();
  const int64_t rows = tangent.size(dim);
  parted.insert(parted.begin() + dim, rows > 0 ? credit.size(dim) / rows : 1);
  const Tensor product = credit.reshape(parted).sum(dim) * tangent;
  if (!each) return product.sum();
  return product.transpose(0, dim).reshape({rows, -1}).sum(1);
}

/// Numbers of the whole batch, or of each sample, that are summed up.
class TimeSum {
 public:
  void add(const Tensor& part, double weight = 1) {
    if (!part.defined() || weight == 0) return;
    const Tensor now = part.to(at::kCPU, at::kDouble) * weight;
    sum_ = sum_.defined() ? sum_ + now : now;
  }
  /// [n], of zeros where nothing was added.
  std::vector<double> values(size_t n) const {
    if (!sum_.defined()) return std::vector<double>(n, 0);
    const Tensor flat = sum_.reshape({-1}).contiguous();
    return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
  }

 private:
  Tensor sum_;
};

}  // namespace altprop::ode
