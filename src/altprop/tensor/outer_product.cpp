#include "altprop/tensor/outer_product.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "altprop/tensor/announced.h"
#include "altprop/tensor/avx512.h"

namespace altprop {

namespace {

constexpr int64_t kMostSamples = 512;  ///< the two panels of a tile should stay in the cache

/// Rows of numbers that lie side by side.
struct Rows {
  const float* data;
  int64_t stride;
};

/// What becomes of the sum of outer products; value null: nothing but the sum is written.
struct Target {
  float *sum, *value;
  double keep, scale, decay, rate;
};

}  // namespace

#if defined(ALTPROP_HAS_AVX512_CODE)
ALTPROP_AVX512_BEGIN

namespace {

constexpr int kHeight = 14, kWidth = 32;  ///< 28 registers of sums, 2 of b, 1 of a

/// The sums of one tile: R rows, one or two vectors wide, the last of which is cut by `mask`.
template <int R, bool Two>
void sum_tile(Rows a, Rows b, int64_t samples, __mmask16 mask, float (*out)[kWidth]) {
  __m512 sums[R][2];
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  for (int64_t s = 0; s < samples; ++s, a.data += a.stride, b.data += b.stride) {
    const __m512 left = Two ? _mm512_loadu_ps(b.data) : _mm512_maskz_loadu_ps(mask, b.data);
    const __m512 right = Two ? _mm512_maskz_loadu_ps(mask, b.data + 16) : left;
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) {
      const __m512 factor = _mm512_set1_ps(a.data[r]);
      sums[r][0] = _mm512_fmadd_ps(factor, left, sums[r][0]);
      if (Two) sums[r][1] = _mm512_fmadd_ps(factor, right, sums[r][1]);
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r) {
    _mm512_store_ps(out[r], sums[r][0]);
    if (Two) _mm512_store_ps(out[r] + 16, sums[r][1]);
  }
}

using SumTile = void (*)(Rows, Rows, int64_t, __mmask16, float (*)[kWidth]);
#define ALTPROP_TILE(R) \
  { sum_tile<R, false>, sum_tile<R, true> }
const SumTile kSumTile[kHeight + 1][2] = {
    {nullptr, nullptr}, ALTPROP_TILE(1),  ALTPROP_TILE(2),  ALTPROP_TILE(3),  ALTPROP_TILE(4),
    ALTPROP_TILE(5),    ALTPROP_TILE(6),  ALTPROP_TILE(7),  ALTPROP_TILE(8),  ALTPROP_TILE(9),
    ALTPROP_TILE(10),   ALTPROP_TILE(11), ALTPROP_TILE(12), ALTPROP_TILE(13), ALTPROP_TILE(14)};
#undef ALTPROP_TILE

/// What a tile will be added to is fetched while its sums are made.
void fetch(const float* rows, int64_t stride, int height, bool two) {
  for (int r = 0; r < height; ++r, rows += stride) {
    _mm_prefetch(reinterpret_cast<const char*>(rows), _MM_HINT_T0);
    if (two) _mm_prefetch(reinterpret_cast<const char*>(rows + 16), _MM_HINT_T0);
  }
}

/// 16 numbers, or those that `mask` leaves, at offset `at` of the target.
void finish(const float* sums, __mmask16 mask, int64_t at, const Target& t) {
  __m512 sum = _mm512_mul_ps(_mm512_set1_ps(static_cast<float>(t.scale)), _mm512_load_ps(sums));
  if (t.keep != 0)
    sum = _mm512_fmadd_ps(_mm512_set1_ps(static_cast<float>(t.keep)),
                          _mm512_maskz_loadu_ps(mask, t.sum + at), sum);
  if (t.value) {
    const __m512 value = _mm512_maskz_loadu_ps(mask, t.value + at);
    if (t.decay != 0)  // times 0, an infinite value would be NaN
      sum = _mm512_fmadd_ps(_mm512_set1_ps(static_cast<float>(t.decay)), value, sum);
    _mm512_mask_storeu_ps(t.value + at, mask,
                          _mm512_fmadd_ps(_mm512_set1_ps(static_cast<float>(-t.rate)), sum, value));
  }
  _mm512_mask_storeu_ps(t.sum + at, mask, sum);
}

/// Rows begin to end of the target, at most kHeight.
void sum_rows(Rows a, Rows b, int64_t samples, int64_t begin, int64_t end, int64_t columns,
              const Target& target) {
  alignas(64) float tile[kHeight][kWidth];
  const int height = static_cast<int>(end - begin);
  for (int64_t j = 0; j < columns; j += kWidth) {
    const bool two = columns - j > 16;
    const int64_t rest = columns - j - (two ? 16 : 0), last = rest < 16 ? rest : 16;
    const auto mask = static_cast<__mmask16>((1u << last) - 1);
    const int64_t corner = begin * columns + j;
    fetch(target.sum + corner, columns, height, two);
    if (target.value) fetch(target.value + corner, columns, height, two);
    kSumTile[height][two]({a.data + begin, a.stride}, {b.data + j, b.stride}, samples, mask, tile);
    for (int r = 0; r < height; ++r) {
      const int64_t at = corner + r * columns;
      if (two) finish(tile[r], 0xffff, at, target);
      finish(tile[r] + (two ? 16 : 0), mask, at + (two ? 16 : 0), target);
    }
  }
}

}  // namespace
ALTPROP_AVX512_END

namespace {

void sum_outer_products(const Tensor& a, const Tensor& b, const Target& target) {
  const Announced as("altprop::product", a, b);
  const int64_t rows = a.size(0), samples = a.size(1), columns = b.size(1);
  const int64_t tiles = (rows + kHeight - 1) / kHeight;
  const Rows left{a.const_data_ptr<float>(), a.stride(1)};
  const Rows right{b.const_data_ptr<float>(), b.stride(0)};
  // A thread is worth waking up for some 10 microseconds of work.
  const int64_t work = kHeight * columns * samples;
  at::parallel_for(0, tiles, std::max<int64_t>(1, (1 << 20) / std::max<int64_t>(1, work)),
                   [&](int64_t from, int64_t to) {
                     for (int64_t t = from; t < to; ++t)
                       sum_rows(left, right, samples, rows * t / tiles, rows * (t + 1) / tiles,
                                columns, target);
                   });
}

bool plain(const Tensor& t) {
  return t.dim() == 2 && t.scalar_type() == at::kFloat && t.device().is_cpu();
}

}  // namespace

bool outer_product_fits(const Tensor& out, const Tensor& a, const Tensor& b) {
  return avx512_runs(OwnKernel::OuterProduct) && plain(a) && plain(b) && plain(out) &&
         out.is_contiguous() && a.stride(0) == 1 && b.stride(1) == 1 && a.size(1) > 0 &&
         a.size(1) <= kMostSamples && out.numel() > 0;
}

void outer_product_into(Tensor& out, const Tensor& a, const Tensor& b, double keep, double scale) {
  sum_outer_products(a, b, {out.mutable_data_ptr<float>(), nullptr, keep, scale, 0, 0});
}

void outer_product_step(Tensor& average, Tensor& value, const Tensor& a, const Tensor& b,
                        double scale, const MomentumStep& s) {
  sum_outer_products(a, b,
                     {average.mutable_data_ptr<float>(), value.mutable_data_ptr<float>(),
                      s.momentum, scale, s.decay, s.rate});
}

#else

bool outer_product_fits(const Tensor&, const Tensor&, const Tensor&) { return false; }

void outer_product_into(Tensor& out, const Tensor& a, const Tensor& b, double keep, double scale) {
  at::addmm_out(out, out, a, b, keep, scale);
}

void outer_product_step(Tensor& average, Tensor& value, const Tensor& a, const Tensor& b,
                        double scale, const MomentumStep& s) {
  at::addmm_out(average, average, a, b, s.momentum, scale);
  average.add_(value, s.decay);
  value.add_(average, -s.rate);
}

#endif

}  // namespace altprop
