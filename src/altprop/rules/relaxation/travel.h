// How much of a credit has travelled how far: the coefficients of the linear relaxation
//
//   u <- u + eta (N u + s - u),   N nilpotent (credit of a directed acyclic graph pulled back by
//   one hop)
//
// after T steps in closed form. Derived from the binomial theorem for the synchronous order and
// from the negative binomial for Gauss-Seidel, where a credit may cross any number of hops in one
// sweep.
#pragma once

#include <cstdint>

namespace altprop {

enum class Order;

/// The linear relaxation after `steps` steps: u(T) = sum_j arrived(j + 1) N^j s + sum_j left(j) N^j
/// u(0).
struct Travel {
  double eta;         ///< step size, in (0, 2)
  int64_t steps;      ///< T
  bool in_one_sweep;  ///< Gauss-Seidel; false: synchronous

  /// Share of a constant source's credit that has crossed `hops` hops. In [0, 1] for eta <= 1: the
  /// probability that T coin throws of success eta (T + hops - 1 for Gauss-Seidel) succeed at least
  /// `hops` times.
  double arrived(int64_t hops) const;
  /// Coefficient of N^hops u(0): what is left of the initial state.
  double left(int64_t hops) const;
};

/// Steps after which `share` of the credit has crossed `hops` hops; -1: not within a million.
int64_t steps_for(double eta, bool in_one_sweep, int64_t hops, double share);

}  // namespace altprop
