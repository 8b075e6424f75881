#include "altprop/train/spread.h"

#include <cmath>
#include <cstdio>

namespace altprop {

nlohmann::json spread(const std::vector<double>& values) {
  if (values.empty()) return nullptr;
  double mean = 0, square = 0;
  for (double v : values) mean += v / static_cast<double>(values.size());
  for (double v : values) square += (v - mean) * (v - mean);
  return {
      {"mean", mean},
      {"std", values.size() > 1 ? std::sqrt(square / static_cast<double>(values.size() - 1)) : 0.0},
      {"n", values.size()}};
}

std::string spread_text(const nlohmann::json& spread, double factor, int digits) {
  if (!spread.is_object()) return "-";
  const double mean = spread["mean"].get<double>() * factor;
  char out[64];
  if (spread["n"].get<int64_t>() > 1) {
    std::snprintf(out, sizeof out, "%.*f +- %.*f", digits, mean, digits,
                  spread["std"].get<double>() * factor);
  } else {
    std::snprintf(out, sizeof out, "%.*f", digits, mean);
  }
  return out;
}

}  // namespace altprop
