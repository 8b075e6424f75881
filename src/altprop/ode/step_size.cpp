#include "altprop/ode/step_size.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::ode {

const std::vector<std::string>& control_names() {
  static const std::vector<std::string> names = {"i", "pi", "pid"};
  return names;
}

int64_t StepSizes::count(double distance) const {
  constexpr double kMost = 1e6, kRounding = 1e-12;
  if (steps > 0) return steps;
  // 2.1 / 0.3 is a little more than 7.
  const double exact = std::abs(distance) / step * (1 - kRounding);
  if (!(exact <= kMost))
    throw UsageError(text::cat("ode: steps of length step=", text::from_number(step),
                               " are more than ", static_cast<int64_t>(kMost),
                               " on the way to an output that is ",
                               text::from_number(std::abs(distance)), " away; make step longer"));
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(exact)));
}

double StepSizes::length(double distance, int64_t n) const {
  const int64_t all = count(distance);
  if (steps > 0) return distance / static_cast<double>(all);
  const double full = std::copysign(step, distance);
  return n + 1 < all ? full : distance - full * static_cast<double>(all - 1);
}

std::vector<double> scaled_norms(const Tensor& value, const Tensor& size, const StepSizes& sizes) {
  const int64_t rows = value.size(0);
  if (value.numel() == 0) return std::vector<double>(sizes.per_sample ? static_cast<size_t>(rows) : 1, 0);
  const Tensor scaled = value / at::add(size * sizes.rtol, sizes.atol);
  if (!sizes.parts.empty()) {
    double largest = 0;
    int64_t from = 0;
    for (const int64_t n : sizes.parts) {
      const double norm = scaled.narrow(0, from, n).norm().item<double>();
      if (std::isnan(norm)) return {norm};
      largest = std::max(largest, norm / std::sqrt(static_cast<double>(n)));
      from += n;
    }
    return {largest};
  }
  if (!sizes.per_sample)
    return {scaled.norm().item<double>() / std::sqrt(static_cast<double>(value.numel()))};
  const Tensor norms = at::linalg_vector_norm(scaled.reshape({rows, -1}), 2, {1})
                           .to(at::kCPU, at::kDouble)
                           .div_(std::sqrt(static_cast<double>(value.numel() / rows)));
  const double* const from = norms.const_data_ptr<double>();
  return {from, from + rows};
}

std::vector<double> first_steps(const Scheme& method, const Field& f, const TimeStep& begin,
                                const Tensor& x, const Tensor& slope,
                                const std::vector<int>& directions, const StepSizes& sizes) {
  const Tensor size = x.abs();
  const std::vector<double> d0 = scaled_norms(x, size, sizes), d1 = scaled_norms(slope, size, sizes);
  const size_t n = d0.size();
  std::vector<double> h0(n), out(n);
  for (size_t i = 0; i < n; ++i)
    h0[i] = d0[i] < 1e-5 || d1[i] < 1e-5 ? 1e-6 : 0.01 * d0[i] / d1[i];
  TimeStep trial = begin;
  if (begin.each) {
    trial.each = std::make_shared<SampleSteps>(*begin.each);
    for (size_t i = 0; i < n; ++i) trial.each->h[i] = directions[i] * h0[i];
    trial.each->close(x);
  } else {
    trial.h = directions[0] * h0[0];
  }
  const Tensor after = f(end_time(trial, x), trial.length().plus(x, slope)).slope;
  const std::vector<double> change = scaled_norms(after - slope, size, sizes);
  for (size_t i = 0; i < n; ++i) {
    const double d2 = change[i] / h0[i];
    const double h1 = d1[i] <= 1e-15 && d2 <= 1e-15
                          ? std::max(1e-6, 1e-3 * h0[i])
                          : std::pow(0.01 / std::max(d1[i], d2), 1.0 / method.error_order());
    out[i] = std::min(100 * h0[i], h1);
  }
  return out;
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

double rounding_noise(const Tableau& method, const Length& h, const Evaluations& k,
                      const Evaluation& last, const Tensor& size, const StepSizes& sizes) {
  WeightedSum sum;
  for (int i = 0; i < method.rows(); ++i) {
    const Tensor& slope = i < method.stages() ? k[static_cast<size_t>(i)].slope : last.slope;
    sum.add(slope.abs(), std::abs(method.d(i)));
  }
  const Tensor noise = sum.take();
  if (!noise.defined()) return 0;
  const double eps = noise.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                                        : std::numeric_limits<float>::epsilon();
  const std::vector<double> all = scaled_norms(h.absolute().times(noise, eps), size, sizes);
  return *std::max_element(all.begin(), all.end());
}

}  // namespace altprop::ode
