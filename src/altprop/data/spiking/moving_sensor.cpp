#include "altprop/data/spiking/moving_sensor.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace altprop::data {

namespace {

/// Brightness at a place between pixels, 0 outside of the picture.
double brightness(const uint8_t* picture, int64_t side, double x, double y) {
  const double left = std::floor(x), top = std::floor(y);
  double sum = 0;
  for (int dy = 0; dy < 2; ++dy)
    for (int dx = 0; dx < 2; ++dx) {
      const auto column = static_cast<int64_t>(left) + dx, row = static_cast<int64_t>(top) + dy;
      if (column < 0 || row < 0 || column >= side || row >= side) continue;
      const double wx = dx ? x - left : 1 - (x - left), wy = dy ? y - top : 1 - (y - top);
      sum += wx * wy * picture[row * side + column] / 255.0;
    }
  return sum;
}

}  // namespace

std::vector<PixelEvent> MovingSensor::watch(const uint8_t* picture, int64_t side) const {
  // Corners of the triangle, around the middle of the sensor.
  const double corners[4][2] = {{0, 0}, {reach / 2, reach}, {reach, 0}, {0, 0}};
  const double margin_x = (static_cast<double>(sensor.width - side) - reach) / 2,
               margin_y = (static_cast<double>(sensor.height - side) - reach) / 2;
  std::vector<PixelEvent> out;
  for (int32_t y = 0; y < sensor.height; ++y)
    for (int32_t x = 0; x < sensor.width; ++x) {
      double before = 0, level = 0;
      for (int64_t k = 0; k <= 3 * steps; ++k) {
        const int64_t leg = std::min<int64_t>(k / steps, 2);
        const double part = static_cast<double>(k - leg * steps) / static_cast<double>(steps);
        const auto along = [&](int axis) {
          return corners[leg][axis] + part * (corners[leg + 1][axis] - corners[leg][axis]);
        };
        const double now = std::log(
            brightness(picture, side, x - margin_x - along(0), y - margin_y - along(1)) + floor);
        if (k == 0) level = now;
        // Every level that is crossed on the way here sends its own event.
        while (k > 0 && std::abs(now - level) >= contrast) {
          const bool up = now > level;
          level += up ? contrast : -contrast;
          const double when = std::clamp((level - before) / (now - before), 0.0, 1.0);
          const double time = (static_cast<double>(k - 1) + when) / static_cast<double>(steps) *
                              static_cast<double>(saccade);
          out.push_back({x, y, up, static_cast<int64_t>(time)});
        }
        before = now;
      }
    }
  std::sort(out.begin(), out.end(), [](const PixelEvent& a, const PixelEvent& b) {
    return std::tie(a.time, a.y, a.x, a.brighter) < std::tie(b.time, b.y, b.x, b.brighter);
  });
  return out;
}

}  // namespace altprop::data
