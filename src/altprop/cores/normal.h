// The normal distribution, elementwise, and where its variance ends.
#pragma once

#include <cmath>
#include <numbers>

#include "altprop/tensor/tensor.h"

namespace altprop::cores {

/// What a variance is at least: differences of large sums lose that much (Esser et al. 2015 divide
/// by its root).
inline double least_variance(at::ScalarType type) { return type == at::kFloat ? 1e-4 : 1e-8; }

/// P(N(0, 1) < z).
inline Tensor normal_cdf(const Tensor& z) { return at::erf(z * std::sqrt(0.5)).add_(1).mul_(0.5); }

/// exp(-z^2 / 2) / sqrt(2 pi), and 0 beyond |z| = 8, where it is below 6e-15: products with numbers
/// of 1e-38 and less would take a hundred times as long as others. What it is multiplied by is cut
/// off there, too, since of an infinite z the product would be no number.
inline Tensor normal_density(const Tensor& z) {
  return at::threshold(z.square().mul_(-0.5).exp_(), 1.2664165549094176e-14, 0)
      .mul_(1 / std::sqrt(2 * std::numbers::pi));
}

}  // namespace altprop::cores
