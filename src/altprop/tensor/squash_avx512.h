// A Squash on the vectors of AVX-512, for the kernels of settling layers.
#pragma once

#include "altprop/tensor/avx512.h"
#include "altprop/tensor/settle.h"

#if defined(ALTPROP_HAS_AVX512_CODE)
ALTPROP_AVX512_BEGIN

namespace altprop::avx512 {

constexpr int kLanes = 16;

/// The lanes of the vector that begins at `from` of `n` numbers.
inline __mmask16 lanes(int64_t from, int64_t n) {
  if (from >= n) return 0;
  return n - from >= kLanes ? static_cast<__mmask16>(0xffff)
                            : static_cast<__mmask16>((1u << (n - from)) - 1);
}

/// Constants of a Squash. Comparisons have the number as their second operand, which is what they
/// return for NaN.
struct Vectors {
  Squash::Kind kind;
  __m512 gain, shift, low, high;
  explicit Vectors(const Squash& s)
      : kind(s.kind),
        gain(_mm512_set1_ps(s.gain)),
        shift(_mm512_set1_ps(s.shift)),
        low(_mm512_set1_ps(s.low)),
        high(_mm512_set1_ps(s.high)) {}
};

/// 1 / (1 + exp(-z)) to about two units in the last place.
inline __m512 sigmoid(__m512 z) {
  const __m512 one = _mm512_set1_ps(1);
  z = _mm512_min_ps(_mm512_set1_ps(87), _mm512_max_ps(_mm512_set1_ps(-87), z));
  const __m512 t = _mm512_mul_ps(z, _mm512_set1_ps(-1.44269504088896341f));
  const __m512 whole = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(t, whole);
  // 2^r by its series, ln(2)^k / k!.
  __m512 p = _mm512_set1_ps(1.5252734e-5f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.5403530e-4f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.33335581e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.61812911e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.55041087e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.40226507e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.93147181e-1f));
  p = _mm512_fmadd_ps(p, r, one);
  const __m512 d = _mm512_add_ps(one, _mm512_scalef_ps(p, whole));
  const __m512 guess = _mm512_rcp14_ps(d);
  return _mm512_mul_ps(guess, _mm512_fnmadd_ps(d, guess, _mm512_set1_ps(2)));
}

inline __m512 squashed(__m512 a, const Vectors& v) {
  a = _mm512_fmadd_ps(a, v.gain, v.shift);
  if (v.kind == Squash::Kind::Clamp) return _mm512_min_ps(v.high, _mm512_max_ps(v.low, a));
  return v.kind == Squash::Kind::Sigmoid ? sigmoid(a) : a;
}

}  // namespace altprop::avx512

ALTPROP_AVX512_END
#endif
