// Products with a PackedMatrix on the vectors of AVX-512; what becomes of the sums is up to the
// kernel that asks for them.
#pragma once

#include <algorithm>

#include "altprop/tensor/packed_matrix.h"
#include "altprop/tensor/squash_avx512.h"

#if defined(ALTPROP_HAS_AVX512_CODE)
ALTPROP_AVX512_BEGIN

namespace altprop::avx512 {

constexpr int kTallest = 11;  ///< 22 registers of sums, 2 of the panel, the rest for numbers of a

/// Rows of numbers, `stride` apart.
template <class Number>
struct Strided {
  Number* data;
  int64_t stride;
  Strided down(int64_t rows) const { return {data + rows * stride, stride}; }
  Number* at(int64_t row, int64_t column) const { return data + row * stride + column; }
};

/// The sums of R rows with one panel, of which the first or both vectors hold columns.
/// @param sink called as (row, first column, lanes, sums) for every vector
template <int R, bool Two, class Sink>
inline __attribute__((always_inline)) void multiply_tile(Strided<const float> a, int64_t row,
                                                         const float* panel, int64_t k,
                                                         int64_t column, int64_t n,
                                                         const Sink& sink) {
  __m512 left[R], right[R];
#pragma GCC unroll 11
  for (int r = 0; r < R; ++r) left[r] = right[r] = _mm512_setzero_ps();
  const Strided<const float> here = a.down(row);
  for (int64_t i = 0; i < k; ++i, panel += PackedMatrix::kWidth) {
    const __m512 first = _mm512_load_ps(panel);
    const __m512 second = Two ? _mm512_load_ps(panel + kLanes) : first;
#pragma GCC unroll 11
    for (int r = 0; r < R; ++r) {
      const __m512 factor = _mm512_set1_ps(*here.at(r, i));
      left[r] = _mm512_fmadd_ps(factor, first, left[r]);
      if (Two) right[r] = _mm512_fmadd_ps(factor, second, right[r]);
    }
  }
#pragma GCC unroll 11
  for (int r = 0; r < R; ++r) {
    sink(row + r, column, lanes(column, n), left[r]);
    if (Two) sink(row + r, column + kLanes, lanes(column + kLanes, n), right[r]);
  }
}

template <int R, class Sink>
void multiply_tiles(int64_t height, Strided<const float> a, int64_t row, const float* panel,
                    int64_t k, int64_t column, int64_t n, const Sink& sink) {
  if (height == R) {
    if (n - column > kLanes)
      multiply_tile<R, true>(a, row, panel, k, column, n, sink);
    else
      multiply_tile<R, false>(a, row, panel, k, column, n, sink);
  } else if constexpr (R > 1) {
    multiply_tiles<R - 1>(height, a, row, panel, k, column, n, sink);
  }
}

/// Sums of `rows` rows of a with the panels [from, to) of b.
template <class Sink>
void multiply_panels(Strided<const float> a, int64_t rows, const PackedMatrix& b, int64_t from,
                     int64_t to, const Sink& sink) {
  const int64_t tiles = (rows + kTallest - 1) / kTallest;
  for (int64_t p = from; p < to; ++p) {
    const float* panel = b.panels() + p * b.rows() * PackedMatrix::kWidth;
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t row = rows * t / tiles, height = rows * (t + 1) / tiles - row;
      multiply_tiles<kTallest>(height, a, row, panel, b.rows(), p * PackedMatrix::kWidth,
                               b.columns(), sink);
    }
  }
}

inline int64_t panels_of(const PackedMatrix& b) {
  return (b.columns() + PackedMatrix::kWidth - 1) / PackedMatrix::kWidth;
}

}  // namespace altprop::avx512

ALTPROP_AVX512_END
#endif
