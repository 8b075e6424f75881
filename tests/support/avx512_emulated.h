// What the instructions of AVX-512 do that own kernels use, in plain C++: so the kernels' logic -
// masks, tails, the order of operands, NaN - is tested on any processor (target altprop_emulated).
// Written after Intel's descriptions of the instructions. Roundings differ from the processor's
// where a product and a sum are one instruction there.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#undef _mm_prefetch
#undef _mm512_cmp_ps_mask
#undef _mm512_roundscale_ps
#ifndef _CMP_NLE_UQ
#define _CMP_NLE_UQ 0x16
#endif
#ifndef _MM_FROUND_TO_NEAREST_INT
#define _MM_FROUND_TO_NEAREST_INT 0x00
#endif
#ifndef _MM_FROUND_NO_EXC
#define _MM_FROUND_NO_EXC 0x08
#endif

// In this namespace they are found before those of the compiler's header, if that is read too.
namespace altprop {

using __m512 = float __attribute__((vector_size(64)));
using __m512i = uint32_t __attribute__((vector_size(64)));
using __mmask16 = uint16_t;

#define ALTPROP_EMULATED static inline __attribute__((always_inline, unused))
// Not inlined: kernels that hold dozens of vectors in registers would take minutes to compile.
#define ALTPROP_EMULATED_BY_LANES static __attribute__((noinline, unused))

constexpr int _MM_HINT_T0 = 3;
ALTPROP_EMULATED void _mm_prefetch(const char*, int) {}

ALTPROP_EMULATED __m512 _mm512_set1_ps(float x) { return x - __m512{}; }
ALTPROP_EMULATED __m512 _mm512_setzero_ps() { return __m512{}; }
ALTPROP_EMULATED __m512i _mm512_setzero_si512() { return __m512i{}; }
ALTPROP_EMULATED __m512i _mm512_castps_si512(__m512 a) { return std::bit_cast<__m512i>(a); }

/// Lanes that the mask leaves out are not touched in memory.
ALTPROP_EMULATED_BY_LANES __m512 _mm512_maskz_loadu_ps(__mmask16 m, const float* from) {
  __m512 out{};
  for (int i = 0; i < 16; ++i)
    if (m >> i & 1) out[i] = from[i];
  return out;
}
ALTPROP_EMULATED_BY_LANES void _mm512_mask_storeu_ps(float* to, __mmask16 m, __m512 a) {
  for (int i = 0; i < 16; ++i)
    if (m >> i & 1) to[i] = a[i];
}
ALTPROP_EMULATED __m512 _mm512_loadu_ps(const float* from) {
  __m512 out;
  std::memcpy(&out, from, sizeof out);
  return out;
}
ALTPROP_EMULATED void _mm512_storeu_ps(float* to, __m512 a) { std::memcpy(to, &a, sizeof a); }
/// The processor stops at addresses that are no multiple of 64.
ALTPROP_EMULATED_BY_LANES void expect_aligned(const float* address) {
  if (reinterpret_cast<uintptr_t>(address) % 64) std::abort();
}
ALTPROP_EMULATED __m512 _mm512_load_ps(const float* from) {
  expect_aligned(from);
  return _mm512_loadu_ps(from);
}
ALTPROP_EMULATED void _mm512_store_ps(float* to, __m512 a) {
  expect_aligned(to);
  _mm512_storeu_ps(to, a);
}

ALTPROP_EMULATED __m512 _mm512_add_ps(__m512 a, __m512 b) { return a + b; }
ALTPROP_EMULATED __m512 _mm512_sub_ps(__m512 a, __m512 b) { return a - b; }
ALTPROP_EMULATED __m512 _mm512_mul_ps(__m512 a, __m512 b) { return a * b; }
ALTPROP_EMULATED __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) { return a * b + c; }
ALTPROP_EMULATED __m512 _mm512_fnmadd_ps(__m512 a, __m512 b, __m512 c) { return c - a * b; }
ALTPROP_EMULATED __m512 _mm512_abs_ps(__m512 a) {
  return std::bit_cast<__m512>(std::bit_cast<__m512i>(a) & 0x7fffffffu);
}
/// The second operand if one is NaN, or if both are zeros.
ALTPROP_EMULATED __m512 _mm512_max_ps(__m512 a, __m512 b) { return a > b ? a : b; }
ALTPROP_EMULATED __m512 _mm512_min_ps(__m512 a, __m512 b) { return a < b ? a : b; }
ALTPROP_EMULATED __m512i _mm512_max_epu32(__m512i a, __m512i b) { return a > b ? a : b; }

ALTPROP_EMULATED_BY_LANES __m512 _mm512_maskz_mov_ps(__mmask16 m, __m512 a) {
  for (int i = 0; i < 16; ++i)
    if (!(m >> i & 1)) a[i] = 0;
  return a;
}
/// Only "not less or equal": true for NaN.
ALTPROP_EMULATED_BY_LANES __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
  if (predicate != _CMP_NLE_UQ) std::abort();
  unsigned m = 0;
  for (int i = 0; i < 16; ++i) m |= static_cast<unsigned>(!(a[i] <= b[i])) << i;
  return static_cast<__mmask16>(m);
}

ALTPROP_EMULATED_BY_LANES float _mm512_reduce_add_ps(__m512 a) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) a[i] += a[i + half];
  return a[0];
}
ALTPROP_EMULATED_BY_LANES uint32_t _mm512_reduce_max_epu32(__m512i a) {
  uint32_t out = 0;
  for (int i = 0; i < 16; ++i) out = a[i] > out ? a[i] : out;
  return out;
}

/// To whole numbers.
ALTPROP_EMULATED_BY_LANES __m512 _mm512_roundscale_ps(__m512 a, int mode) {
  if (mode != (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)) std::abort();
  for (int i = 0; i < 16; ++i) a[i] = std::nearbyint(a[i]);
  return a;
}
/// a times 2 to the whole part of b.
ALTPROP_EMULATED_BY_LANES __m512 _mm512_scalef_ps(__m512 a, __m512 b) {
  for (int i = 0; i < 16; ++i) a[i] *= std::exp2(std::floor(b[i]));
  return a;
}
/// As coarse as the processor's: 14 bits.
ALTPROP_EMULATED_BY_LANES __m512 _mm512_rcp14_ps(__m512 a) {
  for (int i = 0; i < 16; ++i) {
    const float exact = 1 / a[i];
    a[i] = std::isfinite(exact) ? std::bit_cast<float>(std::bit_cast<uint32_t>(exact) & ~0x1ffu)
                                : exact;
  }
  return a;
}

#undef ALTPROP_EMULATED
#undef ALTPROP_EMULATED_BY_LANES

}  // namespace altprop
