#include "altprop/cores/ensemble_limit.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace altprop::cores {

std::optional<EnsembleLimit> ensemble_limit(
    const std::vector<std::pair<int64_t, double>>& distances) {
  // y = a^2 + b^2 x with x = 1 / members and y the square; divided by y every size counts the same.
  double one = 0, x1 = 0, x2 = 0, y1 = 0, xy = 0;
  for (const auto& [members, distance] : distances) {
    const double x = 1 / static_cast<double>(members), y = distance * distance;
    if (!(y > 0)) return std::nullopt;
    const double w = 1 / (y * y);
    one += w;
    x1 += w * x;
    x2 += w * x * x;
    y1 += w * y;
    xy += w * x * y;
  }
  const double determinant = one * x2 - x1 * x1;
  if (distances.size() < 2 || !(determinant > 0)) return std::nullopt;
  double a2 = (y1 * x2 - x1 * xy) / determinant, b2 = (one * xy - x1 * y1) / determinant;
  // At the edge of what squares can be the other one alone is fitted.
  if (a2 < 0) a2 = 0, b2 = xy / x2;
  if (b2 < 0) b2 = 0, a2 = y1 / one;
  return EnsembleLimit{std::sqrt(a2), std::sqrt(b2)};
}

}  // namespace altprop::cores
