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

/// exp(-z^2 / 2) / sqrt(2 pi). What it is multiplied by is cut off at |z| = 8, where it is below
/// 1e-14: of an infinite z the product would be no number.
inline Tensor normal_density(const Tensor& z) {
  return z.square().mul_(-0.5).exp_().mul_(1 / std::sqrt(2 * std::numbers::pi));
}

}  // namespace altprop::cores
