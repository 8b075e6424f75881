// exp, sine and cosine without branches, so that compilers make vectors of the loops around them.
// Errors are about a unit in the last place of float and double, for angles up to 1e5.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace altprop::elementary {

#define ALTPROP_INLINE inline __attribute__((always_inline))

/// Number types and constants of a precision. Adding `magic` rounds to an integer, which is then in
/// the low bits.
template <class T>
struct Precision;
template <>
struct Precision<float> {
  using Int = int32_t;
  static constexpr float magic = 12582912.f, least = -87.f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float pi2_a = 1.5703125f, pi2_b = 4.837512969970703125e-4f,
                         pi2_c = 7.54978995489188e-8f;
  static constexpr int mantissa = 23, exp_terms = 7, angle_terms = 5;
  static constexpr Int one = 0x3f800000;
};
template <>
struct Precision<double> {
  using Int = int64_t;
  static constexpr double magic = 6755399441055744.0, least = -708.0;
  static constexpr double ln2_high = 6.93147180369123816490e-01,
                          ln2_low = 1.90821492927058770002e-10;
  static constexpr double pi2_a = 1.57079632673412561417e+00, pi2_b = 6.07710050630396597660e-11,
                          pi2_c = 2.02226624879595063154e-21;
  static constexpr int mantissa = 52, exp_terms = 13, angle_terms = 9;
  static constexpr Int one = 0x3ff0000000000000;
};

/// e^x for x <= 0; below the smallest normal number, that number. NaN stays NaN.
template <class T>
ALTPROP_INLINE T exp_of_negative(T x) {
  using P = Precision<T>;
  using Int = typename P::Int;
  x = x < P::least ? P::least : x;
  const T shifted = x * T(1.44269504088896340736) + P::magic;
  const T n = shifted - P::magic;
  const T r = (x - n * P::ln2_high) - n * P::ln2_low;
  T p = 1;
#pragma GCC unroll 16
  for (int k = P::exp_terms; k > 0; --k) p = T(1) + p * r * (T(1) / T(k));
  using Bits = std::make_unsigned_t<Int>;
  const T power = std::bit_cast<T>(
      static_cast<Bits>((std::bit_cast<Bits>(shifted) << P::mantissa) + static_cast<Bits>(P::one)));
  return p * power;
}

/// sin(y) into `s`, cos(y) into `c`.
template <class T>
ALTPROP_INLINE void sine_and_cosine(T y, T& s, T& c) {
  using P = Precision<T>;
  const T shifted = y * T(0.63661977236758134308) + P::magic;
  const T q = shifted - P::magic;
  const auto quarter = std::bit_cast<typename P::Int>(shifted);
  const T r = ((y - q * P::pi2_a) - q * P::pi2_b) - q * P::pi2_c;
  const T square = r * r;
  T a = 1, b = 1;  // sine over r, cosine
#pragma GCC unroll 16
  for (int k = P::angle_terms; k > 0; --k) {
    a = T(1) - a * square * (T(1) / T(2 * k * (2 * k + 1)));
    b = T(1) - b * square * (T(1) / T(2 * k * (2 * k - 1)));
  }
  a *= r;
  const T sine = quarter & 1 ? b : a, cosine = quarter & 1 ? a : b;
  s = quarter & 2 ? -sine : sine;
  c = (quarter + 1) & 2 ? -cosine : cosine;
}

}  // namespace altprop::elementary
