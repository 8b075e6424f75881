#include "altprop/tensor/narrow_conv.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "altprop/base/error.h"
#include "altprop/tensor/announced.h"
#include "altprop/tensor/avx512.h"

namespace altprop {

namespace {
constexpr int64_t kMostChannels = 12, kMostInRow = 64;
}

#if defined(ALTPROP_HAS_AVX512_CODE)
ALTPROP_AVX512_BEGIN

namespace {

constexpr int kLanes = 16, kTogether = 6;  ///< windows whose sums are in registers at once

struct Shape {
  int64_t out, in, kh, kw, h, w;  ///< h, w of the credit
  int64_t row() const { return kw * in; }
  int64_t vectors() const { return (row() + kLanes - 1) / kLanes; }
  /// Of the input with its padding.
  int64_t wide() const { return (w + kw - 1) * in; }
  int64_t high() const { return h + kh - 1; }
};

/// Adds one row of the windows at P places: target[p] += sum over channels of credit[p] * weight.
template <int P, int V>
void add_rows(const float* const* credit, float* const* target, const float* weight, int64_t out,
              __mmask16 last) {
  __m512 sums[P][V];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[p][v] = _mm512_setzero_ps();
  for (int64_t c = 0; c < out; ++c, weight += V * kLanes) {
    __m512 row[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) row[v] = _mm512_loadu_ps(weight + v * kLanes);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const __m512 factor = _mm512_set1_ps(credit[p][c]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[p][v] = _mm512_fmadd_ps(factor, row[v], sums[p][v]);
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      float* at = target[p] + v * kLanes;
      if (v + 1 < V)
        _mm512_storeu_ps(at, _mm512_add_ps(_mm512_loadu_ps(at), sums[p][v]));
      else
        _mm512_mask_storeu_ps(at, last, _mm512_add_ps(_mm512_maskz_loadu_ps(last, at), sums[p][v]));
    }
}

/// Windows that begin kw columns apart do not overlap, nor do those of different rows of credit at
/// the same row of the window: of such ones the sums are added to the image without waiting for
/// what was just written.
template <int V>
void add_image(const float* credit, float* image, const float* weight, const Shape& s) {
  const auto last = static_cast<__mmask16>((1u << (s.row() - (V - 1) * kLanes)) - 1);
  const float* from[kTogether];
  float* to[kTogether];
  for (int64_t ky = 0; ky < s.kh; ++ky) {
    const float* row = weight + ky * s.out * V * kLanes;
    for (int64_t phase = 0; phase < s.kw; ++phase) {
      int n = 0;
      for (int64_t y = 0; y < s.h; ++y)
        for (int64_t x = phase; x < s.w; x += s.kw) {
          from[n] = credit + (y * s.w + x) * s.out;
          to[n] = image + (y + ky) * s.wide() + x * s.in;
          if (++n < kTogether) continue;
          add_rows<kTogether, V>(from, to, row, s.out, last);
          n = 0;
        }
      for (int i = 0; i < n; ++i) add_rows<1, V>(from + i, to + i, row, s.out, last);
    }
  }
}

void add_image(const float* credit, float* image, const float* weight, const Shape& s) {
  switch (s.vectors()) {
    case 1:
      return add_image<1>(credit, image, weight, s);
    case 2:
      return add_image<2>(credit, image, weight, s);
    case 3:
      return add_image<3>(credit, image, weight, s);
    default:
      return add_image<4>(credit, image, weight, s);
  }
}

/// [kh][out][a row of the window, filled up with zeros].
std::vector<float> by_rows(const Tensor& weight, const Shape& s) {
  const int64_t width = s.vectors() * kLanes;
  std::vector<float> rows(static_cast<size_t>(s.kh * s.out * width), 0.0f);
  const auto w = weight.accessor<float, 4>();
  for (int64_t ky = 0; ky < s.kh; ++ky)
    for (int64_t o = 0; o < s.out; ++o)
      for (int64_t kx = 0; kx < s.kw; ++kx)
        for (int64_t i = 0; i < s.in; ++i)
          rows[static_cast<size_t>((ky * s.out + o) * width + kx * s.in + i)] = w[o][i][ky][kx];
  return rows;
}

}  // namespace

ALTPROP_AVX512_END
#endif

bool narrow_credit_fits(const Tensor& credit, const Tensor& weight, int64_t padding) {
#if defined(ALTPROP_HAS_AVX512_CODE)
  return avx512_runs(OwnKernel::NarrowConv) && credit.dim() == 4 && weight.dim() == 4 &&
         credit.device().is_cpu() && credit.scalar_type() == at::kFloat &&
         weight.scalar_type() == at::kFloat &&
         credit.is_contiguous(at::MemoryFormat::ChannelsLast) && credit.numel() > 0 &&
         weight.size(0) == credit.size(1) && weight.size(1) <= kMostChannels &&
         weight.size(1) * weight.size(3) <= kMostInRow &&
         credit.size(2) + weight.size(2) - 1 > 2 * padding &&
         credit.size(3) + weight.size(3) - 1 > 2 * padding;
#else
  return false;
#endif
}

Tensor narrow_credit(const Tensor& credit, const Tensor& weight, int64_t padding) {
#if defined(ALTPROP_HAS_AVX512_CODE)
  const Announced as("altprop::narrow_credit", credit, weight, padding);
  const Shape s{weight.size(0), weight.size(1), weight.size(2),
                weight.size(3), credit.size(2), credit.size(3)};
  const int64_t rows = s.high() - 2 * padding, width = s.wide() - 2 * padding * s.in,
                images = credit.size(0);
  Tensor out = at::empty({images, s.in, rows, width / s.in}, credit.options(),
                         at::MemoryFormat::ChannelsLast);
  const std::vector<float> packed = by_rows(weight, s);
  const float* from = credit.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> image(static_cast<size_t>(s.high() * s.wide()));
    for (int64_t b = begin; b < end; ++b) {
      std::fill(image.begin(), image.end(), 0.0f);
      add_image(from + b * s.h * s.w * s.out, image.data(), packed.data(), s);
      for (int64_t y = 0; y < rows; ++y)
        std::copy_n(image.data() + (y + padding) * s.wide() + padding * s.in, width,
                    to + (b * rows + y) * width);
    }
  });
  return out;
#else
  throw Error("narrow_credit: this build has no code for AVX-512; ask narrow_credit_fits first");
#endif
}

}  // namespace altprop
