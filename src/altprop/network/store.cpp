#include "altprop/network/store.h"

#include <algorithm>

#include "altprop/tensor/linear.h"
#include "altprop/tensor/rows.h"

namespace altprop {

double Slot::taken() {
  const double held = fresh ? keep : 1;
  fresh = false;
  return held;
}

void Slot::add(const Tensor& contribution, double scale) {
  const double held = taken();
  const Tensor part = contribution.reshape(into.sizes());
  if (held == 0) {
    at::mul_out(into, part, at::scalar_tensor(factor * scale, into.options()));
  } else {
    if (held != 1) into.mul_(held);
    into.add_(part, factor * scale);
  }
}

void Slot::add_product(const Tensor& a, const Tensor& b, double scale) {
  const std::vector<int64_t> shape = {a.size(0), b.size(1)};
  if (into.dim() != 2 && !into.is_contiguous()) return add(gemm(a, b), scale);
  Tensor matrix = into.view(shape);
  gemm_into(matrix, a, b, taken(), factor * scale);
  mark_written(into);
}

void Slot::add_rows(const Tensor& matrix, double scale) {
  add_rows_into(into, matrix, taken(), factor * scale);
  mark_written(into);
}

void Slot::add_rows_at(const Tensor& ids, const Tensor& rows, double scale) {
  settle();
  fresh = false;
  if (into.device().is_cpu() && into.is_contiguous()) {
    altprop::add_rows_at(into, rows.contiguous(), ids.contiguous().const_data_ptr<int64_t>(),
                         factor * scale);
    mark_written(into);
  } else {
    into.index_add_(0, ids.clamp_min(0), rows * ids.ge(0).unsqueeze(1), factor * scale);
  }
}

void Slot::settle() {
  if (!fresh) return;
  if (keep == 0) {
    into.zero_();
  } else if (keep != 1) {
    into.mul_(keep);
  }
}

Slot* OnlyOf::of(const Param& param) {
  const bool shown = std::find(params_.begin(), params_.end(), &param) != params_.end();
  return shown ? store_.of(param) : nullptr;
}

}  // namespace altprop
