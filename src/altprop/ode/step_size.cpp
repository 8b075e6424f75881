#include "altprop/ode/step_size.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace altprop::ode {

const std::vector<std::string>& control_names() {
  static const std::vector<std::string> names = {"i", "pi", "pid"};
  return names;
}

double scaled_norm(const Tensor& value, const Tensor& size, const StepSizes& sizes) {
  if (value.numel() == 0) return 0;
  const Tensor scaled = value / at::add(size * sizes.rtol, sizes.atol);
  return scaled.norm().item<double>() / std::sqrt(static_cast<double>(value.numel()));
}

double first_step(const Scheme& method, const Field& f, double t, const Tensor& x,
                  const Tensor& slope, int direction, const StepSizes& sizes) {
  const Tensor size = x.abs();
  const double d0 = scaled_norm(x, size, sizes), d1 = scaled_norm(slope, size, sizes);
  const double h0 = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
  const Tensor after = f(t + direction * h0, at::add(x, slope, direction * h0)).slope;
  const double d2 = scaled_norm(after - slope, size, sizes) / h0;
  const double h1 = d1 <= 1e-15 && d2 <= 1e-15
                        ? std::max(1e-6, 1e-3 * h0)
                        : std::pow(0.01 / std::max(d1, d2), 1.0 / method.error_order());
  return std::min(100 * h0, h1);
}

double next_factor(double error, int order) { return Controller(Control::I, order).factor(error); }

Controller::Controller(Control control, int order) {
  const std::array<double, 3> pid = control == Control::I    ? std::array{0.0, 1.0, 0.0}
                                    : control == Control::Pi ? std::array{0.4, 0.3, 0.0}
                                                             : std::array{-2.0 / 9, 2.0 / 9,
                                                                          1.0 / 18};
  const auto& [p, i, d] = pid;
  exponents_ = {(p + i + d) / order, -(p + 2 * d) / order, d / order};
}

double Controller::factor(double error) {
  if (error == 0) return 10;
  const double r = 1 / error;
  const bool accepted = error <= 1;
  double out = 0.9 * std::pow(r, exponents_[0]) * std::pow(before_, exponents_[1]) *
               std::pow(long_before_, exponents_[2]);
  // An error of just 1 is accepted, and yet its next step is to be shorter.
  const double least = error < 1 ? 1 : 0.2, most = accepted ? 10 : 0.9;
  out = std::min(most, std::max(out, least));
  if (accepted) {
    long_before_ = before_;
    before_ = r;
  }
  return out;
}

double rounding_noise(const Tableau& method, double h, const Evaluations& k, const Evaluation& last,
                      const Tensor& size, const StepSizes& sizes) {
  WeightedSum sum;
  for (int i = 0; i < method.rows(); ++i) {
    const Tensor& slope = i < method.stages() ? k[static_cast<size_t>(i)].slope : last.slope;
    sum.add(slope.abs(), std::abs(h * method.d(i)));
  }
  const Tensor noise = sum.take();
  if (!noise.defined()) return 0;
  const double eps = noise.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                                        : std::numeric_limits<float>::epsilon();
  return scaled_norm(noise * eps, size, sizes);
}

}  // namespace altprop::ode
