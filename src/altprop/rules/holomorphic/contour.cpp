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

Contour Contour::for_samples(const Tensor& kept, const Tensor& by_two) const {
  Contour out = *this;
  if (!kept.defined() && !by_two.defined()) return out;
  const double number = static_cast<double>(number_);
  const bool lacks_opposite = by_two.defined() && real_ == 1;
  if (lacks_opposite) {
    out.points_.insert(out.points_.begin() + 1, {-points_[0].re, 0, 1 / number, -1});
    ++out.real_;
  }
  const auto points = static_cast<int64_t>(out.points_.size());
  out.shares_ = at::ones({points, (kept.defined() ? kept : by_two).size(0)}, at::kDouble);
  for (int64_t k = 0; k < points && by_two.defined(); ++k) {
    Tensor share = out.shares_[k];
    if (lacks_opposite && k == 1) share.zero_();
    share.masked_fill_(by_two.to(at::kCPU), k < out.real_ ? number / 2 : 0);
  }
  if (kept.defined()) out.shares_.mul_(kept.to(at::kCPU));
  return out;
}

/// One value per point, from point `first` on, as a factor of rows.
Tensor Contour::as_rows(const std::vector<double>& values, int64_t first, int64_t batch,
                        int64_t dims, const at::TensorOptions& options) const {
  const auto points = static_cast<int64_t>(values.size());
  std::vector<int64_t> shape(static_cast<size_t>(dims), 1);
  shape[0] = points * batch;
  Tensor rows = at::tensor(values, at::kDouble).repeat_interleave(batch);
  if (shares_.defined()) rows.mul_(shares_.narrow(0, first, points).flatten());
  return rows.view(shape).to(options);
}

void Contour::nudges(int64_t batch, const at::TensorOptions& options, Tensor& re,
                     Tensor& im) const {
  std::vector<double> a, b;
  for (const ContourPoint& p : points_) a.push_back(p.re), b.push_back(p.im);
  b.erase(b.begin(), b.begin() + real_);
  Contour plain;  // samples that do not count are nudged, too
  re = plain.as_rows(a, 0, batch, 2, options);
  im = b.empty() ? Tensor() : plain.as_rows(b, real_, batch, 2, options);
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
  re = as_rows(a, 0, batch, dims, options);
  b.erase(b.begin(), b.begin() + real_);
  im = b.empty() ? Tensor() : as_rows(b, real_, batch, dims, options);
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
  return as_rows(values, 0, batch, 2, options);
}

}  // namespace altprop
