#include "altprop/ode/step_size.h"

#include <algorithm>
#include <cmath>

namespace altprop::ode {

double scaled_norm(const Tensor& value, const Tensor& size, const StepSizes& sizes) {
  if (value.numel() == 0) return 0;
  const Tensor scaled = value / at::add(size * sizes.rtol, sizes.atol);
  return scaled.norm().item<double>() / std::sqrt(static_cast<double>(value.numel()));
}

double first_step(const Tableau& method, const Field& f, double t, const Tensor& x,
                  const Tensor& slope, int direction, const StepSizes& sizes) {
  const Tensor size = x.abs();
  const double d0 = scaled_norm(x, size, sizes), d1 = scaled_norm(slope, size, sizes);
  const double h0 = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
  const Tensor after = f(t + direction * h0, at::add(x, slope, direction * h0)).slope;
  const double d2 = scaled_norm(after - slope, size, sizes) / h0;
  const double h1 = d1 <= 1e-15 && d2 <= 1e-15
                        ? std::max(1e-6, 1e-3 * h0)
                        : std::pow(0.01 / std::max(d1, d2), 1.0 / method.order());
  return std::min(100 * h0, h1);
}

double next_factor(double error, int order) {
  if (error == 0) return 10;
  const double least = error < 1 ? 1 : 0.2;
  return std::min(10.0, std::max(0.9 * std::pow(error, -1.0 / order), least));
}

}  // namespace altprop::ode
