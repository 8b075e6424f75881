#include "altprop/tensor/planar.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/tensor/elementary.h"
#include "altprop/tensor/vectorised.h"

namespace altprop {

namespace {

template <class T>
struct Complex {
  T re, im;
};

/// 1 / (1 + e^-z): with e^-|re z|, which cannot overflow, on either side of the imaginary axis.
template <class T>
ALTPROP_INLINE Complex<T> logistic(T x, T y) {
  T sine, cosine;
  elementary::sine_and_cosine(y, sine, cosine);
  const T e = elementary::exp_of_negative(x < 0 ? x : -x);
  const T part = e * cosine, square = e * e;
  const T inverse = T(1) / (T(1) + T(2) * part + square);
  return {(x < 0 ? part + square : T(1) + part) * inverse, e * sine * inverse};
}

template <class T>
ALTPROP_INLINE T logistic(T x) {
  const T e = elementary::exp_of_negative(x < 0 ? x : -x);
  return (x < 0 ? e : T(1)) / (T(1) + e);
}

template <class T>
ALTPROP_VECTORISED void complex_range(T* __restrict re, T* __restrict im, int64_t n,
                                      Analytic::Kind kind, T gain, T shift) {
  switch (kind) {
    case Analytic::Kind::Logistic:
      for (int64_t i = 0; i < n; ++i) {
        const Complex<T> f = logistic(gain * re[i] + shift, gain * im[i]);
        re[i] = f.re;
        im[i] = f.im;
      }
      return;
    case Analytic::Kind::Tanh:
      for (int64_t i = 0; i < n; ++i) {
        const Complex<T> f = logistic(2 * re[i], 2 * im[i]);
        re[i] = 2 * f.re - 1;
        im[i] = 2 * f.im;
      }
      return;
    case Analytic::Kind::Dsilu:
      for (int64_t i = 0; i < n; ++i) {
        const T x = re[i] / 2, y = im[i] / 2;
        const Complex<T> f = logistic(re[i], im[i]), g = logistic(re[i] - 2, im[i]);
        re[i] = x * f.re - y * f.im + (1 - x) * g.re + y * g.im;
        im[i] = x * f.im + y * f.re + (1 - x) * g.im - y * g.re;
      }
  }
}

template <class T>
ALTPROP_VECTORISED void real_range(T* __restrict x, int64_t n, Analytic::Kind kind, T gain,
                                   T shift) {
  switch (kind) {
    case Analytic::Kind::Logistic:
      for (int64_t i = 0; i < n; ++i) x[i] = logistic(gain * x[i] + shift);
      return;
    case Analytic::Kind::Tanh:
      for (int64_t i = 0; i < n; ++i) x[i] = 2 * logistic(2 * x[i]) - 1;
      return;
    case Analytic::Kind::Dsilu:
      for (int64_t i = 0; i < n; ++i)
        x[i] = x[i] / 2 * logistic(x[i]) + (1 - x[i] / 2) * logistic(x[i] - 2);
  }
}

template <class T>
void apply_here(Tensor& z, const PlanarRows& rows, const Analytic& f) {
  constexpr int64_t kGrain = 8192;
  const int64_t width = z.size(0) ? z.numel() / z.size(0) : 0;
  const T gain = static_cast<T>(f.gain), shift = static_cast<T>(f.shift);
  T* x = z.mutable_data_ptr<T>();
  at::parallel_for(0, rows.real * width, kGrain, [&](int64_t from, int64_t to) {
    vectorised<real_range<T>>(x + from, to - from, f.kind, gain, shift);
  });
  T* re = x + rows.real * width;
  T* im = re + rows.complex * width;
  at::parallel_for(0, rows.complex * width, kGrain, [&](int64_t from, int64_t to) {
    vectorised<complex_range<T>>(re + from, im + from, to - from, f.kind, gain, shift);
  });
}

/// The same with the library's complex numbers: for other devices.
template <class F>
void apply_elsewhere(Tensor& z, const PlanarRows& rows, F f) {
  if (rows.real) real_rows(z, rows).copy_(f(real_rows(z, rows)));
  if (!rows.complex) return;
  const Tensor value = f(at::complex(real_parts(z, rows), imaginary_parts(z, rows)));
  real_parts(z, rows).copy_(at::real(value));
  imaginary_parts(z, rows).copy_(at::imag(value));
}

/// 1 / (1 + exp(-z)). The library's for complex numbers overflows to NaN far from the imaginary
/// axis. With e = exp(-|a|) and D = |1 + e exp(ib)|^2 nothing does:
///   sigma(a + ib) = ((1 or e^2) + e cos b + i e sin b) / D,   1 for a >= 0
Tensor logistic(const Tensor& z) {
  if (!z.is_complex()) return at::sigmoid(z);
  const Tensor a = at::real(z), b = at::imag(z), e = a.abs().neg_().exp_();
  const Tensor across = e * b.cos(), square = e * e;
  const Tensor inverse = (1 + 2 * across + square).reciprocal_();
  return at::complex((at::where(a.ge(0), at::ones_like(a), square) + across).mul_(inverse),
                     (e * b.sin()).mul_(inverse));
}

Tensor evaluated(const Tensor& z, const Analytic& f) {
  switch (f.kind) {
    case Analytic::Kind::Logistic:
      return logistic(z * f.gain + f.shift);
    case Analytic::Kind::Tanh:
      return at::tanh(z);
    default:
      return z / 2 * logistic(z) + (1 - z / 2) * logistic(z - 2);
  }
}

}  // namespace

Tensor real_rows(const Tensor& t, const PlanarRows& rows) { return t.narrow(0, 0, rows.real); }
Tensor real_parts(const Tensor& t, const PlanarRows& rows) {
  return t.narrow(0, rows.real, rows.complex);
}
Tensor imaginary_parts(const Tensor& t, const PlanarRows& rows) {
  return t.narrow(0, rows.points(), rows.complex);
}

void apply_analytic_(Tensor& z, const PlanarRows& rows, const Analytic& f) {
  const bool here = own_kernel_reaches(OwnKernel::Planar, z) && z.is_non_overlapping_and_dense() &&
                    (z.dim() < 2 || z.size(0) < 2 || z.stride(0) * z.size(0) == z.numel());
  if (here && z.scalar_type() == at::kFloat) return apply_here<float>(z, rows, f);
  if (here && z.scalar_type() == at::kDouble) return apply_here<double>(z, rows, f);
  apply_elsewhere(z, rows, [&](const Tensor& v) { return evaluated(v, f); });
}

Tensor analytic_slope(const Tensor& x, const Analytic& f) {
  const auto slope = [](const Tensor& y) { return y * (1 - y); };
  switch (f.kind) {
    case Analytic::Kind::Logistic:
      return slope(at::sigmoid(x * f.gain + f.shift)).mul_(f.gain);
    case Analytic::Kind::Tanh:
      return 1 - at::tanh(x).square_();
    default:
      break;
  }
  const Tensor a = at::sigmoid(x), b = at::sigmoid(x - 2), half = x / 2;
  return (a - b).mul_(0.5).add_(half * slope(a)).add_((1 - half) * slope(b));
}

Tensor planar_scaled(const Tensor& z, const PlanarRows& rows, const Tensor& factor_re,
                     const Tensor& factor_im) {
  Tensor out = at::empty_like(z);
  Tensor points = out.narrow(0, 0, rows.points());
  at::mul_out(points, z.narrow(0, 0, rows.points()), factor_re);
  if (!rows.complex) return out;
  const Tensor re = real_parts(z, rows), im = imaginary_parts(z, rows),
               a = factor_re.narrow(0, rows.real, rows.complex);
  real_parts(out, rows).sub_(im * factor_im);
  Tensor imaginary = imaginary_parts(out, rows);
  at::mul_out(imaginary, im, a);
  imaginary.add_(re * factor_im);
  return out;
}

void complex_softmax(const Tensor& re, const Tensor& im, Tensor& out_re, Tensor& out_im) {
  const Tensor e = (re - re.amax(-1, true)).exp_();
  const Tensor a = e * im.cos(), b = e * im.sin();
  const Tensor sa = a.sum(-1, true), sb = b.sum(-1, true);
  const Tensor inverse = (sa * sa + sb * sb).reciprocal_();
  out_re = (a * sa + b * sb).mul_(inverse);
  out_im = (b * sa - a * sb).mul_(inverse);
}

}  // namespace altprop
