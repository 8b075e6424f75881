#include "altprop/tensor/rows.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>

#include "altprop/tensor/vectorised.h"

namespace altprop {

namespace {

constexpr int64_t kGrain = 1 << 15;  ///< numbers that are worth a thread
constexpr int64_t kChunk = 256;      ///< columns that are summed at a time, in the cache

bool plain(const Tensor& t) {
  return t.scalar_type() == at::kFloat && own_kernel_reaches(OwnKernel::Rows, t) &&
         t.is_contiguous();
}

ALTPROP_VECTORISED void add_bias(float* __restrict x, const float* __restrict bias, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += bias[i];
}

// The comparison keeps NaN, as the library does: a diverged network has to show.
ALTPROP_VECTORISED void add_bias_relu(float* __restrict x, const float* __restrict bias,
                                      int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float y = x[i] + bias[i];
    x[i] = y < 0 ? 0 : y;
  }
}

ALTPROP_VECTORISED void add_row(float* __restrict sums, const float* __restrict row, int64_t n) {
  for (int64_t i = 0; i < n; ++i) sums[i] += row[i];
}

ALTPROP_VECTORISED void add_scaled(float* __restrict sums, const float* __restrict row, int64_t n,
                                   float scale) {
  for (int64_t i = 0; i < n; ++i) sums[i] += scale * row[i];
}

ALTPROP_VECTORISED void blend(float* __restrict out, const float* __restrict sums, int64_t n,
                              float keep, float scale) {
  if (keep == 0) {
    for (int64_t i = 0; i < n; ++i) out[i] = scale * sums[i];
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = keep * out[i] + scale * sums[i];
  }
}

}  // namespace

void add_bias_(Tensor& x, const Tensor& bias, bool relu) {
  if (!plain(x) || !plain(bias) || x.dim() != 2) {
    x.add_(bias);
    if (relu) x.relu_();
    return;
  }
  const int64_t n = x.size(1);
  float* rows = x.mutable_data_ptr<float>();
  const float* b = bias.const_data_ptr<float>();
  at::parallel_for(0, x.size(0), std::max<int64_t>(1, kGrain / std::max<int64_t>(1, n)),
                   [&](int64_t from, int64_t to) {
                     for (int64_t i = from; i < to; ++i) {
                       float* const row = rows + i * n;
                       relu ? vectorised<add_bias_relu>(row, b, n)
                            : vectorised<add_bias>(row, b, n);
                     }
                   });
}

void add_rows_into(Tensor& out, const Tensor& matrix, double keep, double scale) {
  if (!plain(out) || !plain(matrix) || matrix.dim() != 2) {
    if (keep == 0) {
      at::sum_out(out, matrix, {0});
      if (scale != 1) out.mul_(scale);
    } else {
      if (keep != 1) out.mul_(keep);
      out.add_(matrix.sum(0), scale);
    }
    return;
  }
  const int64_t rows = matrix.size(0), n = matrix.size(1), chunks = (n + kChunk - 1) / kChunk;
  const float* numbers = matrix.const_data_ptr<float>();
  float* target = out.mutable_data_ptr<float>();
  at::parallel_for(0, chunks, std::max<int64_t>(1, kGrain / (kChunk * std::max<int64_t>(1, rows))),
                   [&](int64_t from, int64_t to) {
                     alignas(64) float sums[kChunk];
                     for (int64_t chunk = from; chunk < to; ++chunk) {
                       const int64_t begin = chunk * kChunk, width = std::min(kChunk, n - begin);
                       std::fill(sums, sums + width, 0.0f);
                       for (int64_t i = 0; i < rows; ++i)
                         vectorised<add_row>(sums, numbers + i * n + begin, width);
                       vectorised<blend>(target + begin, sums, width, static_cast<float>(keep),
                                         static_cast<float>(scale));
                     }
                   });
}

void copy_rows_at(Tensor& out, const Tensor& table, const int64_t* ids) {
  const Tensor from = table.contiguous();
  const size_t bytes = static_cast<size_t>(out.size(1)) * out.element_size();
  const auto* source = static_cast<const uint8_t*>(from.const_data_ptr());
  auto* to = static_cast<uint8_t*>(out.mutable_data_ptr());
  for (int64_t i = 0; i < out.size(0); ++i, to += bytes) {
    if (ids[i] < 0) {
      std::memset(to, 0, bytes);
    } else {
      std::memcpy(to, source + static_cast<size_t>(ids[i]) * bytes, bytes);
    }
  }
}

void add_rows_at(Tensor& table, const Tensor& rows, const int64_t* ids, double scale) {
  if (table.scalar_type() != at::kFloat || !table.is_contiguous()) {
    for (int64_t i = 0; i < rows.size(0); ++i)
      if (ids[i] >= 0) table[ids[i]].add_(rows[i], scale);
    return;
  }
  const int64_t width = table.size(1);
  const float* from = rows.const_data_ptr<float>();
  float* to = table.mutable_data_ptr<float>();
  for (int64_t i = 0; i < rows.size(0); ++i)
    if (ids[i] >= 0)
      vectorised<add_scaled>(to + ids[i] * width, from + i * width, width,
                             static_cast<float>(scale));
}

}  // namespace altprop
