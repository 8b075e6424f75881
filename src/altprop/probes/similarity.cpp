#include "altprop/probes/similarity.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace altprop {

Similarity similarity(const Tensor& a, const Tensor& b) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  if (!a.defined() || !b.defined()) {
    const double norm = a.defined() ? a.norm().item<double>() : 0;
    return {nan, nan, b.defined() ? 0 : nan, b.defined() ? 1 : nan, norm};
  }
  const Tensor x = a.to(at::kDouble).flatten(), y = b.to(at::kDouble).flatten();
  const double xx = x.norm().item<double>(), yy = y.norm().item<double>();
  Similarity out{nan, nan, yy > 0 ? xx / yy : nan, yy > 0 ? (x - y).norm().item<double>() / yy : nan, xx};
  if (xx < 1e-30 || yy < 1e-30) return out;
  // Unit vectors first: the product of two tiny norms could underflow. The half-angle form keeps small angles accurate.
  const Tensor u = x / xx, v = y / yy;
  out.cosine = std::clamp(u.dot(v).item<double>(), -1.0, 1.0);
  out.angle_degrees = 2 * std::atan2((u - v).norm().item<double>(), (u + v).norm().item<double>()) * 180 / M_PI;
  return out;
}

}  // namespace altprop
