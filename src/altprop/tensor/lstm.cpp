#include "altprop/tensor/lstm.h"

#include "altprop/tensor/vectorised.h"

namespace altprop {

namespace {

ALTPROP_VECTORISED void cell_row(float* __restrict out, const float* __restrict gates,
                                 const float* __restrict before, int64_t n) {
  const float *i = gates, *f = gates + n, *g = gates + 2 * n;
  if (before) {
    for (int64_t k = 0; k < n; ++k) out[k] = f[k] * before[k] + i[k] * g[k];
  } else {
    for (int64_t k = 0; k < n; ++k) out[k] = i[k] * g[k];
  }
}

ALTPROP_VECTORISED void pull_gates_row(float* __restrict out, const float* __restrict credit,
                                       const float* __restrict y, int64_t n) {
  for (int64_t k = 0; k < 2 * n; ++k) out[k] = credit[k] * y[k] * (1 - y[k]);
  for (int64_t k = 2 * n; k < 3 * n; ++k) out[k] = credit[k] * (1 - y[k] * y[k]);
  for (int64_t k = 3 * n; k < 4 * n; ++k) out[k] = credit[k] * y[k] * (1 - y[k]);
}

ALTPROP_VECTORISED void pull_cell_row(float* __restrict out, const float* __restrict credit,
                                      const float* __restrict gates, const float* __restrict before,
                                      int64_t n) {
  const float *i = gates, *g = gates + 2 * n;
  for (int64_t k = 0; k < n; ++k) out[k] = credit[k] * g[k];
  for (int64_t k = 0; k < n; ++k) out[n + k] = before ? credit[k] * before[k] : 0;
  for (int64_t k = 0; k < n; ++k) out[2 * n + k] = credit[k] * i[k];
  for (int64_t k = 0; k < n; ++k) out[3 * n + k] = 0;
}

ALTPROP_VECTORISED void pull_output_row(float* __restrict out, const float* __restrict credit,
                                        const float* __restrict squashed, int64_t n) {
  for (int64_t k = 0; k < 3 * n; ++k) out[k] = 0;
  for (int64_t k = 0; k < n; ++k) out[3 * n + k] = credit[k] * squashed[k];
}

ALTPROP_VECTORISED void pull_output_to_cell_row(float* __restrict out,
                                                const float* __restrict credit,
                                                const float* __restrict o,
                                                const float* __restrict squashed, int64_t n) {
  for (int64_t k = 0; k < n; ++k) out[k] = credit[k] * o[k] * (1 - squashed[k] * squashed[k]);
}

/// The rows of a tensor; null where it is undefined.
struct LstmRows {
  const float* data = nullptr;
  int64_t stride = 0;
  explicit LstmRows(const Tensor& t) {
    if (!t.defined()) return;
    data = t.const_data_ptr<float>();
    stride = t.stride(0);
  }
  const float* operator[](int64_t i) const { return data ? data + i * stride : nullptr; }
};

/// A new tensor, `parts` times as wide as a cell, filled row by row.
template <class F>
Tensor by_rows(const Tensor& gates, int64_t parts, F&& fill) {
  const int64_t width = gates.size(1) / 4;
  Tensor out = at::empty({gates.size(0), parts * width}, gates.options());
  float* to = out.mutable_data_ptr<float>();
  for (int64_t row = 0; row < out.size(0); ++row) fill(to + row * parts * width, row, width);
  return out;
}

}  // namespace

bool lstm_kernels_fit(std::initializer_list<const Tensor*> tensors) {
  int64_t rows = -1;
  for (const Tensor* t : tensors) {
    if (!t->defined()) continue;
    if (t->scalar_type() != at::kFloat || !own_kernel_reaches(OwnKernel::Lstm, *t) ||
        t->dim() != 2 || t->stride(1) != 1 || (rows >= 0 && t->size(0) != rows))
      return false;
    rows = t->size(0);
  }
  return true;
}

Tensor lstm_next_cell(const Tensor& gates, const Tensor& before) {
  const LstmRows y(gates), c(before);
  return by_rows(gates, 1, [&](float* out, int64_t row, int64_t width) {
    vectorised<cell_row>(out, y[row], c[row], width);
  });
}

Tensor lstm_pull_gates(const Tensor& credit, const Tensor& gates) {
  const LstmRows e(credit), y(gates);
  return by_rows(gates, 4, [&](float* out, int64_t row, int64_t width) {
    vectorised<pull_gates_row>(out, e[row], y[row], width);
  });
}

Tensor lstm_pull_cell(const Tensor& credit, const Tensor& gates, const Tensor& before) {
  const LstmRows e(credit), y(gates), c(before);
  return by_rows(gates, 4, [&](float* out, int64_t row, int64_t width) {
    vectorised<pull_cell_row>(out, e[row], y[row], c[row], width);
  });
}

Tensor lstm_pull_output(const Tensor& credit, const Tensor& gates, const Tensor& squashed) {
  const LstmRows e(credit), s(squashed);
  return by_rows(gates, 4, [&](float* out, int64_t row, int64_t width) {
    vectorised<pull_output_row>(out, e[row], s[row], width);
  });
}

Tensor lstm_pull_output_to_cell(const Tensor& credit, const Tensor& gates, const Tensor& squashed) {
  const LstmRows e(credit), y(gates), s(squashed);
  return by_rows(gates, 1, [&](float* out, int64_t row, int64_t width) {
    vectorised<pull_output_to_cell_row>(out, e[row], y[row] + 3 * width, s[row], width);
  });
}

}  // namespace altprop
