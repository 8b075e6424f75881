// Pairs of opposite random directions, and what the costs found along them say of a gradient
// (evolution strategies: Rechenberg 1973; Salimans, Ho, Chen, Sidor, Sutskever 2017, arXiv
// 1703.03864; Mania, Guy, Recht 2018, arXiv 1803.07055).
//
// For costs that no derivative is known of, for example minus the return of an episode:
//
//   const AntitheticSettings how{.pairs = 32, .sigma = 0.05};
//   const Tensor along = antithetic_directions(how, n, stream.at(step), at::kFloat);
//   for (int64_t j = 0; j < how.pairs; ++j) {
//     above[j] = cost(theta + how.sigma * along[j]);
//     below[j] = cost(theta - how.sigma * along[j]);
//   }
//   theta -= rate * at::mv(along.t(), antithetic_weights(how, above, below));
#pragma once

#include <string>

#include "altprop/base/options.h"
#include "altprop/tensor/random.h"
#include "altprop/tensor/tensor.h"

namespace altprop {

struct AntitheticSettings {
  int64_t pairs = 16;
  double sigma = 0.05;                  ///< length of a perturbation, of an entry
  std::string directions = "gaussian";  ///< or "orthogonal"
  std::string shaping = "raw";          ///< of the costs: "raw", "standardised", "ranks"
  int64_t best = 0;  ///< only so many pairs count, those with the lowest cost; 0: all

  void declare(Options& options);
  /// @throws UsageError if more pairs are to count than there are
  void check() const;
};

/// [pairs, n]. Gaussian: independent, of variance 1. Orthogonal: rows of orthogonal matrices drawn
/// uniformly, n at a time, of length sqrt(n), so that also E[e e^T] = I, but no direction is asked
/// twice.
Tensor antithetic_directions(const AntitheticSettings& settings, int64_t n, const Stream& stream,
                             at::TensorOptions options);

/// w with  gradient = sum_j w_j e_j.  raw: w_j = (above_j - below_j) / (2 sigma k), k the number of
/// pairs that count, which estimates the gradient of the cost smoothed by a Gaussian of deviation
/// sigma, and that of a quadratic exactly in the mean. standardised: the costs are divided by their
/// standard deviation. ranks: they are replaced by their ranks, from -1/2 to 1/2. With the two
/// latter the length of the estimate means nothing.
/// @param above, below costs, float64 [pairs] @returns float64 [pairs]; NaN where a cost is none
Tensor antithetic_weights(const AntitheticSettings& settings, const Tensor& above,
                          const Tensor& below);

}  // namespace altprop
