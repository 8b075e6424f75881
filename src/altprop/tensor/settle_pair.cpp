#include "altprop/tensor/settle_pair.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <mutex>

#include "altprop/base/error.h"
#include "altprop/tensor/announced.h"
#include "altprop/tensor/row_blocks.h"
#include "altprop/tensor/squash_avx512.h"

namespace altprop {

#if defined(ALTPROP_HAS_AVX512_CODE)

namespace {
constexpr int kMostNarrow = 12;  // sums of two rows stay in registers
}

ALTPROP_AVX512_BEGIN

namespace {

using namespace avx512;

constexpr int kVectors = 2, kColumns = kVectors * kLanes;  // of a block

/// Weights lie block by block: kColumns numbers for each unit of the narrow layer. Columns are
/// filled up to whole blocks, with weights of zero.
struct Job {
  const SettlingPair& pair;
  float *wide, *narrow;
  const float *weight, *back;
  int64_t n, blocks, steps;
};

/// Rows that take their steps, in the nearest cache.
struct Rows {
  float *wide, *drive;  ///< one row behind the other, of whole blocks
  float* narrow;
  const float *bias, *target;
  float share, keep_wide, keep_narrow;
  bool part, at_once;
  float push[2];
};

/// Sums over columns, lane by lane, of R rows for K units of the narrow layer. As long as every
/// function that takes them is inlined they stay in registers.
template <int R, int K>
using Sums = __m512[R][K];
#define ALTPROP_INLINE inline __attribute__((always_inline))

template <int R, int K>
ALTPROP_INLINE void clear(Sums<R, K>& sums) {
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 12
    for (int j = 0; j < K; ++j) sums[r][j] = _mm512_setzero_ps();
}

/// share a + keep old; what is not kept is not read.
ALTPROP_INLINE __m512 partly(__m512 a, float share, float keep, __m512 old) {
  if (keep == 0) return _mm512_mul_ps(a, _mm512_set1_ps(share));
  return _mm512_fmadd_ps(a, _mm512_set1_ps(share), _mm512_mul_ps(_mm512_set1_ps(keep), old));
}

/// The columns of a block, of R rows that are `stride` apart.
template <int R>
ALTPROP_INLINE void load(__m512 (&h)[R][kVectors], const float* from, int64_t stride) {
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) h[r][v] = _mm512_load_ps(from + r * stride + v * kLanes);
}

/// sums += h weight^T over the columns of a block.
template <int R, int K>
ALTPROP_INLINE void gather(Sums<R, K>& sums, const __m512 (&h)[R][kVectors], const float* weight) {
#pragma GCC unroll 12
  for (int j = 0; j < K; ++j)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const __m512 right = _mm512_load_ps(weight + (j * kVectors + v) * kLanes);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) sums[r][j] = _mm512_fmadd_ps(h[r][v], right, sums[r][j]);
    }
}

/// The size of a move as a number that is compared as an integer, where NaN is above infinity.
ALTPROP_INLINE __m512i size_of_move(__m512 from, __m512 to) {
  return _mm512_castps_si512(_mm512_abs_ps(_mm512_sub_ps(to, from)));
}

/// New values of a block of the wide layer, and what they send to the narrow one.
/// @param source the units of the narrow layer that drive them
template <int R, int K, bool Measure, bool Last>
ALTPROP_INLINE void wide_block(const Job& job, const Rows& rows, const Vectors& sigma,
                               const float (&source)[R][kLanes], int64_t block, Sums<R, K>& sums,
                               __m512i& moved) {
  const int64_t stride = job.blocks * kColumns, at = block * kColumns;
  const float* back = job.back + at * K;
  __m512 h[R][kVectors];
  load<R>(h, rows.drive + at, stride);
#pragma GCC unroll 12
  for (int j = 0; j < K; ++j)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const __m512 right = _mm512_load_ps(back + (j * kVectors + v) * kLanes);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r)
        h[r][v] = _mm512_fmadd_ps(_mm512_set1_ps(source[r][j]), right, h[r][v]);
    }
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      float* place = rows.wide + r * stride + at + v * kLanes;
      if (rows.part) h[r][v] = partly(h[r][v], rows.share, rows.keep_wide, _mm512_load_ps(place));
      h[r][v] = squashed(h[r][v], sigma);
      // The columns that fill up the last block stay 0: their weights are 0, but times infinity, or
      // from an infinite source, they would send NaN.
      if (Last) h[r][v] = _mm512_maskz_mov_ps(lanes(at + v * kLanes, job.n), h[r][v]);
      if (Measure) moved = _mm512_max_epu32(moved, size_of_move(_mm512_load_ps(place), h[r][v]));
      _mm512_store_ps(place, h[r][v]);
    }
  gather<R, K>(sums, h, job.weight + at * K);
}

template <int R, int K, bool Measure>
ALTPROP_INLINE void step(const Job& job, const Rows& rows, const Vectors& wide_sigma,
                         const Vectors& narrow_sigma, Sums<R, K>& sums, __m512i& moved) {
  constexpr auto kUnits = static_cast<__mmask16>((1u << K) - 1);
  alignas(64) float source[R][kLanes];
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r) {
    alignas(64) float sent[kLanes] = {};
#pragma GCC unroll 12
    for (int j = 0; j < K; ++j) sent[j] = _mm512_reduce_add_ps(sums[r][j]);
    float* place = rows.narrow + r * K;
    const __m512 old = _mm512_maskz_loadu_ps(kUnits, place);
    __m512 a = _mm512_load_ps(sent);
    if (rows.bias) a = _mm512_add_ps(a, _mm512_maskz_loadu_ps(kUnits, rows.bias));
    if (rows.target) {
      const __m512 apart = _mm512_sub_ps(old, _mm512_maskz_loadu_ps(kUnits, rows.target + r * K));
      a = _mm512_fnmadd_ps(_mm512_set1_ps(rows.push[r]), apart, a);
    }
    a = partly(a, rows.share, rows.keep_narrow, old);
    const __m512 now = _mm512_maskz_mov_ps(kUnits, squashed(a, narrow_sigma));
    if (Measure) moved = _mm512_max_epu32(moved, size_of_move(old, now));
    _mm512_mask_storeu_ps(place, kUnits, now);
    _mm512_store_ps(source[r], rows.at_once ? old : now);
  }
  clear<R, K>(sums);
  const int64_t last = job.blocks - 1;
  for (int64_t block = 0; block < last; ++block)
    wide_block<R, K, Measure, false>(job, rows, wide_sigma, source, block, sums, moved);
  wide_block<R, K, Measure, true>(job, rows, wide_sigma, source, last, sums, moved);
}

/// All steps of R rows. @param scratch room for 2 R rows of whole blocks
/// @returns the largest |move| in the last step
template <int R, int K>
float settle_rows(const Job& job, int64_t row, float* scratch) {
  const SettlingPair& p = job.pair;
  const auto row_of = [&](const Tensor& t, int64_t width) {
    return t.defined() ? t.const_data_ptr<float>() + row * width : nullptr;
  };
  const int64_t stride = job.blocks * kColumns;
  Rows rows{.wide = scratch,
            .drive = scratch + R * stride,
            .narrow = job.narrow + row * K,
            .bias = p.bias.defined() ? p.bias.const_data_ptr<float>() : nullptr,
            .target = row_of(p.target, K),
            .share = static_cast<float>(p.share),
            .keep_wide = static_cast<float>(p.keep_wide),
            .keep_narrow = static_cast<float>(p.keep_narrow),
            .part = p.share != 1 || p.keep_wide != 0,
            .at_once = p.at_once};
  float* const wide = job.wide + row * job.n;
  std::fill(scratch, scratch + 2 * R * stride, 0.0f);
  for (int r = 0; r < R; ++r) {
    std::copy_n(wide + r * job.n, job.n, rows.wide + r * stride);
    std::copy_n(row_of(p.drive, job.n) + r * job.n, job.n, rows.drive + r * stride);
    if (rows.target) rows.push[r] = row_of(p.push, 1)[r];
  }
  const Vectors wide_sigma(p.wide_sigma), narrow_sigma(p.narrow_sigma);
  __m512i moved = _mm512_setzero_si512();
  Sums<R, K> sums;
  clear<R, K>(sums);
  for (int64_t at = 0; at < stride; at += kColumns) {
    __m512 h[R][kVectors];
    load<R>(h, rows.wide + at, stride);
    gather<R, K>(sums, h, job.weight + at * K);
  }
  for (int64_t t = 1; t < job.steps; ++t)
    step<R, K, false>(job, rows, wide_sigma, narrow_sigma, sums, moved);
  step<R, K, true>(job, rows, wide_sigma, narrow_sigma, sums, moved);
  for (int r = 0; r < R; ++r) std::copy_n(rows.wide + r * stride, job.n, wide + r * job.n);
  return std::bit_cast<float>(_mm512_reduce_max_epu32(moved));
}

using Settle = float (*)(const Job&, int64_t row, float* scratch);

template <int K>
Settle chosen(int64_t k, bool two) {
  if (k == K) return two ? &settle_rows<2, K> : &settle_rows<1, K>;
  if constexpr (K < kMostNarrow)
    return chosen<K + 1>(k, two);
  else
    return nullptr;
}

}  // namespace
ALTPROP_AVX512_END

bool settle_pair_fits(const SettlingPair& p) {
  if (!avx512_runs(OwnKernel::SettlePair) || WholeBatches::wanted()) return false;
  for (const Tensor* t :
       {&p.wide, &p.narrow, &p.drive, &p.weight, &p.back, &p.bias, &p.target, &p.push})
    if (t->defined() && (t->scalar_type() != at::kFloat || !t->device().is_cpu() ||
                         !t->is_contiguous() || (t->dim() != 2 && t != &p.bias)))
      return false;
  const int64_t k = p.weight.size(0);
  return k >= 1 && k <= kMostNarrow && p.wide.size(1) >= 4 * k;
}

namespace {

/// NaN if one of them is.
float larger(float a, float b) { return b > a || std::isnan(b) ? b : a; }

/// [k, n] block by block.
Tensor by_blocks(const Tensor& weight) {
  const int64_t k = weight.size(0), n = weight.size(1), blocks = (n + kColumns - 1) / kColumns;
  return at::constant_pad_nd(weight, {0, blocks * kColumns - n})
      .view({k, blocks, kColumns})
      .transpose(0, 1)
      .contiguous();
}

}  // namespace

double settle_pair(const SettlingPair& p, int64_t steps) {
  const Announced as("altprop::settle_pair", p.wide, p.weight, steps);
  const int64_t rows = p.wide.size(0), n = p.wide.size(1), k = p.weight.size(0);
  const Tensor weight = by_blocks(p.weight),
               back = p.back.is_same(p.weight) ? weight : by_blocks(p.back);
  const Job job{p,
                p.wide.mutable_data_ptr<float>(),
                p.narrow.mutable_data_ptr<float>(),
                weight.const_data_ptr<float>(),
                back.const_data_ptr<float>(),
                n,
                weight.size(0),
                steps};
  const Settle one = chosen<1>(k, false), two = chosen<1>(k, true);
  const int64_t work = 8 * steps * n * (k + 4);  // of two rows
  std::mutex taking;
  float largest = 0;
  const auto take = [&](int64_t from, int64_t to) {
    const Tensor scratch = at::empty({4 * job.blocks * kColumns}, p.wide.options());
    float* const room = scratch.mutable_data_ptr<float>();
    float here = 0;
    for (int64_t row = 2 * from; row < 2 * to; row += 2)
      here = larger(here, row + 2 <= rows ? two(job, row, room) : one(job, row, room));
    const std::lock_guard lock(taking);
    largest = larger(largest, here);
  };
  at::parallel_for(0, (rows + 1) / 2, std::max<int64_t>(1, (1 << 20) / work), take);
  return largest;
}

#else

bool settle_pair_fits(const SettlingPair&) { return false; }
double settle_pair(const SettlingPair&, int64_t) {
  throw Error("the settling kernels are not compiled in; ask whether they fit before calling them");
}

#endif

}  // namespace altprop
