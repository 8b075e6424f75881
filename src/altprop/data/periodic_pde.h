// Partial differential equations on a periodic line, integrated so that what they conserve stays
// conserved: data that a network of an energy can be trained on (T. Matsubara, A. Ishikawa, T.
// Yaguchi, "Deep energy-based modeling of discrete-time physics", 2020, arXiv 1905.08604, and its
// code).
//
//   Korteweg, de Vries:  u_t = D (3 u^2 + D2 u)               energy  sum u^3 + u D2 u / 2
//   Cahn, Hilliard:      u_t = D2 (-u + u^3 - gamma D2 u)     energy  sum -u^2/2 + u^4/4 - gamma u
//   D2 u / 2
//
// with D u_i = (u_{i+1} - u_{i-1}) / (2 dx) and D2 u_i = (u_{i+1} - 2 u_i + u_{i-1}) / dx^2.
#pragma once

#include "altprop/tensor/random.h"
#include "altprop/tensor/tensor.h"

namespace altprop::data {

struct PeriodicPde {
  enum class Kind { KortewegDeVries, CahnHilliard };
  Kind kind = Kind::KortewegDeVries;
  int64_t points = 50;
  double width = 10;    ///< of the line
  double dt = 1e-3;     ///< of a step
  double gamma = 5e-4;  ///< Cahn, Hilliard: width^2 of the interfaces

  double dx() const { return width / static_cast<double>(points); }

  /// @param u [B, points] @returns u_t
  Tensor rate(const Tensor& u) const;
  /// @returns [B], of the sum over the points
  Tensor energy(const Tensor& u) const;

  /// One implicit step: the w of (w - u) / dt = u_t with u, u^2 and u^3 replaced by (u + w) / 2,
  /// (u^2 + u w + w^2) / 3 and (u^3 + u^2 w + u w^2 + w^3) / 4, so that the energy changes as it
  /// does in the equation: not at all, or downwards. By Newton's method to 1e-10, float64.
  /// @throws UsageError if that does not converge
  Tensor step(const Tensor& u) const;

  /// Where trajectories begin, [n, points]; sample i depends on `draws` and i alone. Korteweg, de
  /// Vries: two solitons 2 k^2 / cosh^2(k (x - width d)), k in (0.5, 2), the first d in (0.2, 0.3),
  /// the second 0.2 to 0.5 behind it, mirrored in half of the cases. Cahn, Hilliard: (-0.05, 0.05)
  /// at every point.
  Tensor starts(int64_t n, const Stream& draws) const;
};

}  // namespace altprop::data
