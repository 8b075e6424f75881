#include "altprop/tensor/settle.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/tensor/announced.h"
#include "altprop/tensor/squash_avx512.h"

namespace altprop {

namespace {
constexpr int64_t kMostSpread = 64, kMostGathered = 16;
}

#if defined(ALTPROP_HAS_AVX512_CODE)
ALTPROP_AVX512_BEGIN

namespace {

using namespace avx512;

void squash_range(float* x, int64_t n, const Squash& sigma) {
  const Vectors v(sigma);
  for (int64_t i = 0; i < n; i += kLanes) {
    const __mmask16 m = lanes(i, n);
    _mm512_mask_storeu_ps(x + i, m, squashed(_mm512_maskz_loadu_ps(m, x + i), v));
  }
}

struct Spread {
  float* out;
  const float *base, *x, *w;
  int64_t n, k, x_stride, w_stride;
};

/// R rows of V vectors of columns, from column `at` on.
template <int R, int V>
void spread_tile(const Spread& s, int64_t row, int64_t at, const Vectors& v) {
  const __mmask16 last = lanes(at + (V - 1) * kLanes, s.n), all = 0xffff;
  __m512 sums[R][V];
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < V; ++c)
      sums[r][c] = _mm512_maskz_loadu_ps(c + 1 == V ? last : all,
                                         s.base + (row + r) * s.n + at + c * kLanes);
  const float* x = s.x + row * s.x_stride;
  const float* w = s.w + at;
  for (int64_t j = 0; j < s.k; ++j, w += s.w_stride) {
    __m512 right[V];
#pragma GCC unroll 4
    for (int c = 0; c < V; ++c)
      right[c] = _mm512_maskz_loadu_ps(c + 1 == V ? last : all, w + c * kLanes);
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
      const __m512 left = _mm512_set1_ps(x[r * s.x_stride + j]);
#pragma GCC unroll 4
      for (int c = 0; c < V; ++c) sums[r][c] = _mm512_fmadd_ps(left, right[c], sums[r][c]);
    }
  }
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < V; ++c)
      _mm512_mask_storeu_ps(s.out + (row + r) * s.n + at + c * kLanes, c + 1 == V ? last : all,
                            squashed(sums[r][c], v));
}

template <int R>
void spread_rows(const Spread& s, int64_t row, const Vectors& v) {
  int64_t at = 0;
  for (; at + 4 * kLanes <= s.n; at += 4 * kLanes) spread_tile<R, 4>(s, row, at, v);
  for (; at < s.n; at += kLanes) spread_tile<R, 1>(s, row, at, v);
}

struct Gather {
  float* out;
  const float *x, *w, *bias;
  int64_t n, k, x_stride, w_stride;
};

/// R rows of J outputs, from output `at` on.
template <int R, int J>
void gather_tile(const Gather& g, int64_t row, int64_t at) {
  __m512 sums[R][J];
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
    for (int j = 0; j < J; ++j) sums[r][j] = _mm512_setzero_ps();
  for (int64_t i = 0; i < g.n; i += kLanes) {
    const __mmask16 m = lanes(i, g.n);
    __m512 x[R];
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) x[r] = _mm512_maskz_loadu_ps(m, g.x + (row + r) * g.x_stride + i);
#pragma GCC unroll 5
    for (int j = 0; j < J; ++j) {
      const __m512 w = _mm512_maskz_loadu_ps(m, g.w + (at + j) * g.w_stride + i);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) sums[r][j] = _mm512_fmadd_ps(x[r], w, sums[r][j]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < J; ++j)
      g.out[(row + r) * g.k + at + j] =
          _mm512_reduce_add_ps(sums[r][j]) + (g.bias ? g.bias[at + j] : 0);
}

template <int R>
void gather_rows(const Gather& g, int64_t row) {
  int64_t at = 0;
  for (; at + 5 <= g.k; at += 5) gather_tile<R, 5>(g, row, at);
  for (; at < g.k; ++at) gather_tile<R, 1>(g, row, at);
}

}  // namespace
ALTPROP_AVX512_END

namespace {

/// Calls `one(row)` or, for two rows at a time, `two(row)`.
template <class One, class Two>
void by_rows(int64_t rows, int64_t work, One one, Two two) {
  const int64_t pairs = (rows + 1) / 2;
  at::parallel_for(0, pairs, std::max<int64_t>(1, (1 << 20) / std::max<int64_t>(1, 2 * work)),
                   [&](int64_t from, int64_t to) {
                     for (int64_t p = from; p < to; ++p)
                       2 * p + 2 <= rows ? two(2 * p) : one(2 * p);
                   });
}

bool rows_side_by_side(const Tensor& t) {
  return t.dim() == 2 && t.scalar_type() == at::kFloat && t.device().is_cpu() && t.stride(1) == 1;
}

}  // namespace

bool settle_fits(const Tensor& t) {
  return avx512_runs(OwnKernel::Settle) && t.scalar_type() == at::kFloat && t.device().is_cpu() &&
         t.is_non_overlapping_and_dense();
}

void squash_(Tensor& x, const Squash& sigma) {
  float* numbers = x.mutable_data_ptr<float>();
  at::parallel_for(0, x.numel(), 1 << 16, [&](int64_t from, int64_t to) {
    squash_range(numbers + from, to - from, sigma);
  });
}

bool spread_fits(const Tensor& base, const Tensor& x, const Tensor& w) {
  return settle_fits(base) && base.dim() == 2 && base.is_contiguous() && rows_side_by_side(x) &&
         rows_side_by_side(w) && w.size(0) <= kMostSpread;
}

void spread_and_squash(Tensor& out, const Tensor& base, const Tensor& x, const Tensor& w,
                       const Squash& sigma) {
  const Announced as("altprop::product", x, w);
  const Spread s{out.mutable_data_ptr<float>(),
                 base.const_data_ptr<float>(),
                 x.const_data_ptr<float>(),
                 w.const_data_ptr<float>(),
                 base.size(1),
                 w.size(0),
                 x.stride(0),
                 w.stride(0)};
  by_rows(
      base.size(0), s.n * (s.k + 8), [&](int64_t row) { spread_rows<1>(s, row, Vectors(sigma)); },
      [&](int64_t row) { spread_rows<2>(s, row, Vectors(sigma)); });
}

bool gather_fits(const Tensor& x, const Tensor& w) {
  return avx512_runs(OwnKernel::Settle) && rows_side_by_side(x) && rows_side_by_side(w) &&
         w.size(0) <= kMostGathered;
}

void gather_into(Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias) {
  const Announced as("altprop::product", x, w.t());
  const Gather g{out.mutable_data_ptr<float>(),
                 x.const_data_ptr<float>(),
                 w.const_data_ptr<float>(),
                 bias.defined() ? bias.const_data_ptr<float>() : nullptr,
                 x.size(1),
                 w.size(0),
                 x.stride(0),
                 w.stride(0)};
  by_rows(
      x.size(0), g.n * g.k, [&](int64_t row) { gather_rows<1>(g, row); },
      [&](int64_t row) { gather_rows<2>(g, row); });
}

#else

namespace {
[[noreturn]] void missing() {
  throw Error("the settling kernels are not compiled in; ask whether they fit before calling them");
}
}  // namespace

bool settle_fits(const Tensor&) { return false; }
bool spread_fits(const Tensor&, const Tensor&, const Tensor&) { return false; }
bool gather_fits(const Tensor&, const Tensor&) { return false; }
void squash_(Tensor&, const Squash&) { missing(); }
void spread_and_squash(Tensor&, const Tensor&, const Tensor&, const Tensor&, const Squash&) {
  missing();
}
void gather_into(Tensor&, const Tensor&, const Tensor&, const Tensor&) { missing(); }

#endif

}  // namespace altprop
