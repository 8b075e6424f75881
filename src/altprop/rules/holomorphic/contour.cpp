#include "altprop/rules/holomorphic/contour.h"

#include <cmath>
#include <numbers>

#include "altprop/rules/holomorphic/linearised.h"

namespace altprop {

namespace {

/// Multiples of a quarter turn lie on the axes exactly.
ContourPoint on_circle(int64_t k, int64_t points, double radius, double weight) {
  const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(points);
  const auto clean = [](double part) { return std::abs(part) < 1e-15 ? 0.0 : part; };
  return {radius * clean(std::cos(angle)), radius * clean(std::sin(angle)), weight, k};
}

}  // namespace

Contour Contour::half_circle(int64_t points, double radius, at::ScalarType dtype) {
  Contour out;
  out.number_ = points;
  if (points == 0) {
    out.number_ = 1;
    out.points_.push_back({0, imaginary_step(dtype), 1, 0});
    return out;
  }
  const double part = 1 / static_cast<double>(points);
  out.points_.push_back({radius, 0, part, 0});
  if (points % 2 == 0) out.points_.push_back({-radius, 0, part, points / 2});
  out.real_ = static_cast<int64_t>(out.points_.size());
  for (int64_t k = 1; 2 * k < points; ++k) {
    out.points_.push_back(on_circle(k, points, radius, 2 * part));
  }
  return out;
}

Contour Contour::full_circle(int64_t points, double radius) {
  Contour out;
  out.number_ = points;
  const double part = 1 / static_cast<double>(points);
  for (int64_t k = 0; k < points; ++k) {
    out.points_.push_back(on_circle(k, points, radius, part));
  }
  return out;
}

Contour Contour::single(const ContourPoint& point) {
  Contour out;
  out.points_ = {point};
  return out;
}

namespace {

Tensor as_rows(const std::vector<double>& values, int64_t batch, int64_t dims,
               const at::TensorOptions& options) {
  std::vector<int64_t> shape(static_cast<size_t>(dims), 1);
  shape[0] = static_cast<int64_t>(values.size()) * batch;
  return at::tensor(values, at::kDouble).repeat_interleave(batch).view(shape).to(options);
}

}  // namespace

void Contour::nudges(int64_t batch, const at::TensorOptions& options, Tensor& re,
                     Tensor& im) const {
  std::vector<double> a, b;
  for (const ContourPoint& p : points_) a.push_back(p.re), b.push_back(p.im);
  re = as_rows(a, batch, 2, options);
  b.erase(b.begin(), b.begin() + real_);
  im = b.empty() ? Tensor() : as_rows(b, batch, 2, options);
}

void Contour::factors(int64_t batch, int64_t dims, const at::TensorOptions& options, Tensor& re,
                      Tensor& im, int64_t of) const {
  const int64_t every = of > 0 ? number_ / of : 1;
  std::vector<double> a, b;
  for (const ContourPoint& p : points_) {
    const double square = p.re * p.re + p.im * p.im;
    const double weight =
        p.number % every == 0 ? p.weight * static_cast<double>(every) / square : 0.0;
    a.push_back(weight * p.re);
    b.push_back(-weight * p.im);
  }
  re = as_rows(a, batch, dims, options);
  b.erase(b.begin(), b.begin() + real_);
  im = b.empty() ? Tensor() : as_rows(b, batch, dims, options);
}

Tensor Contour::derivative(const Tensor& f, int64_t batch, int64_t of) const {
  Tensor re, im;
  factors(batch, f.dim(), f.options(), re, im, of);
  const PlanarRows rows = this->rows(batch);
  Tensor out = f.narrow(0, 0, rows.points()) * re;
  if (rows.complex) out.narrow(0, rows.real, rows.complex).sub_(imaginary_parts(f, rows) * im);
  return out.unflatten(0, {rows.points() / batch, batch}).sum(0);
}

Tensor Contour::weights(int64_t batch, const at::TensorOptions& options) const {
  std::vector<double> values;
  for (const ContourPoint& p : points_) values.push_back(p.weight);
  return as_rows(values, batch, 2, options);
}

}  // namespace altprop
