#include "altprop/base/short_number.h"

#include <cmath>
#include <cstdio>
#include <utility>

namespace altprop::text {

std::string short_number(int64_t n) {
  if (n < 10000) return std::to_string(n) + " ";
  const std::pair<double, char> units[] = {{1e12, 'T'}, {1e9, 'G'}, {1e6, 'M'}, {1e3, 'k'}};
  const double value = static_cast<double>(n);
  for (const auto& [unit, letter] : units) {
    if (value < unit) continue;
    char text[32];
    std::snprintf(text, sizeof text, "%.3g %c", value / unit, letter);
    return text;
  }
  return "";
}

std::string clock_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return "-";
  const auto s = static_cast<long>(seconds);
  char buffer[40];
  if (s >= 3600)
    std::snprintf(buffer, sizeof buffer, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(buffer, sizeof buffer, "%ld:%02ld", s / 60, s % 60);
  return buffer;
}

}  // namespace altprop::text
