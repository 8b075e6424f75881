// Complex numbers as planes of real ones: rows of a batch of which the last may be complex.
//
//   [ real rows | real parts of the complex rows | their imaginary parts ]
//
// What is linear with real weights acts on the three blocks alike, so that it is one real product;
// only elementwise functions, poolings and losses know what is what.
#pragma once

#include <string>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// How many of a tensor's rows are what.
struct PlanarRows {
  int64_t real = 0, complex = 0;
  int64_t points() const { return real + complex; }    ///< numbers, real or complex
  int64_t rows() const { return real + 2 * complex; }  ///< of the tensor
  bool operator==(const PlanarRows&) const = default;
};

/// The three blocks of rows, as views.
Tensor real_rows(const Tensor& t, const PlanarRows& rows);
Tensor real_parts(const Tensor& t, const PlanarRows& rows);  ///< of the complex rows
Tensor imaginary_parts(const Tensor& t, const PlanarRows& rows);

/// Functions that are analytic in a strip around the real line.
///
///   Logistic  1 / (1 + e^-(gain z + shift)),   poles at gain z + shift = i pi (2k + 1)
///   Tanh      tanh z,                          poles at z = i pi (k + 1/2)
///   Dsilu     (z/2) f(z) + (1 - z/2) f(z - 2) with the logistic f, a smooth clamp(z/2, 0, 1)
struct Analytic {
  enum class Kind { Logistic, Tanh, Dsilu } kind = Kind::Logistic;
  double gain = 1, shift = 0;
};

/// z <- f(z) for all rows. In forms that cannot overflow on either side. @param z dense in memory,
/// the batch outermost
void apply_analytic_(Tensor& z, const PlanarRows& rows, const Analytic& f);
/// f'(x) for real x.
Tensor analytic_slope(const Tensor& x, const Analytic& f);

/// (a + i b) per row times a planar tensor. @param factor_re [points, 1, ...] factors of the real
/// rows and real parts of those of the complex ones; @param factor_im [complex, 1, ...]
Tensor planar_scaled(const Tensor& z, const PlanarRows& rows, const Tensor& factor_re,
                     const Tensor& factor_im);

/// softmax over the last dimension of complex rows [n, K], no denominator ever near 0/0 for finite
/// input away from its poles.
void complex_softmax(const Tensor& re, const Tensor& im, Tensor& out_re, Tensor& out_im);

}  // namespace altprop
