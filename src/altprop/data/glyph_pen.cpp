#include "altprop/data/glyph_pen.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace altprop::data {

namespace {

struct Point {
  float x, y;
};
using Stroke = std::vector<Point>;  // a polyline in [-1, 1]^2, y down
struct Glyph {
  std::string name;
  std::vector<Stroke> strokes;
};

/// Angles in turns, clockwise from the right.
Stroke arc(float cx, float cy, float rx, float ry, float from, float to, int pieces) {
  Stroke out;
  for (int i = 0; i <= pieces; ++i) {
    const float angle =
        6.2831853f * (from + (to - from) * static_cast<float>(i) / static_cast<float>(pieces));
    out.push_back({cx + rx * std::cos(angle), cy + ry * std::sin(angle)});
  }
  return out;
}

const std::array<Glyph, kGlyphClasses>& glyphs() {
  static const std::array<Glyph, kGlyphClasses> all{{
      {"ring", {arc(0, 0, 0.85f, 0.95f, 0, 1, 12)}},
      {"cross", {{{-0.9f, 0}, {0.9f, 0}}, {{0, -1}, {0, 1}}}},
      {"triangle", {{{0, -0.95f}, {0.95f, 0.85f}, {-0.95f, 0.85f}, {0, -0.95f}}}},
      {"square",
       {{{-0.85f, -0.85f}, {0.85f, -0.85f}, {0.85f, 0.85f}, {-0.85f, 0.85f}, {-0.85f, -0.85f}}}},
      {"zed", {{{-0.85f, -0.9f}, {0.85f, -0.9f}, {-0.85f, 0.9f}, {0.85f, 0.9f}}}},
      {"ess",
       {arc(0, -0.45f, 0.75f, 0.5f, -0.05f, -0.75f, 6),
        arc(0, 0.45f, 0.75f, 0.5f, -0.25f, 0.45f, 6)}},
      {"tee", {{{-0.9f, -0.9f}, {0.9f, -0.9f}}, {{0, -0.9f}, {0, 1}}}},
      {"wye", {{{-0.85f, -0.95f}, {0, 0}, {0.85f, -0.95f}}, {{0, 0}, {0, 1}}}},
      {"aitch",
       {{{-0.75f, -0.95f}, {-0.75f, 0.95f}},
        {{0.75f, -0.95f}, {0.75f, 0.95f}},
        {{-0.75f, 0}, {0.75f, 0}}}},
      {"cee", {arc(0.1f, 0, 0.95f, 0.95f, 0.12f, 0.88f, 9)}},
  }};
  return all;
}

/// The draws of one sample, one after the other.
class Dice {
 public:
  explicit Dice(const Stream& stream) : stream_(stream) {}
  float between(double low, double high) {
    return static_cast<float>(low + (high - low) * stream_.uniform_at(next_++));
  }

 private:
  Stream stream_;
  uint64_t next_ = 0;
};

struct Canvas {
  std::array<float, kGlyphSide * kGlyphSide> squared_distance;

  /// Lowers the distances around the segment a-b, up to `reach` pixels from it. The outermost
  /// pixels are left alone.
  void segment(Point a, Point b, float reach) {
    auto low = [&](float v) {
      return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(v)), 1, kGlyphSide - 1);
    };
    auto high = [&](float v) {
      return std::clamp<int64_t>(static_cast<int64_t>(std::floor(v)), 0, kGlyphSide - 2);
    };
    const int64_t left = low(std::min(a.x, b.x) - reach), right = high(std::max(a.x, b.x) + reach);
    const int64_t top = low(std::min(a.y, b.y) - reach), bottom = high(std::max(a.y, b.y) + reach);
    const float dx = b.x - a.x, dy = b.y - a.y, inverse = 1 / std::max(dx * dx + dy * dy, 1e-6f);
    for (int64_t y = top; y <= bottom; ++y) {
      float* row = squared_distance.data() + y * kGlyphSide;
      const float py = static_cast<float>(y) - a.y;
      for (int64_t x = left; x <= right; ++x) {
        const float px = static_cast<float>(static_cast<int>(x)) - a.x;
        const float t = std::min(std::max((px * dx + py * dy) * inverse, 0.0f), 1.0f);
        const float ex = px - t * dx, ey = py - t * dy;
        row[x] = std::min(row[x], ex * ex + ey * ey);
      }
    }
  }
};

}  // namespace

std::vector<std::string> glyph_names() {
  std::vector<std::string> out;
  for (const Glyph& glyph : glyphs()) out.push_back(glyph.name);
  return out;
}

GlyphPen::GlyphPen(const GlyphStyle& style)
    : style_(style), noise_(at::zeros({kGlyphSide * kGlyphSide}, at::kFloat)) {}

void GlyphPen::draw(int64_t glyph, const Stream& sample, uint8_t* pixels) {
  constexpr float kCentre = (kGlyphSide - 1) / 2.0f, kRadius = 9;
  Dice dice(sample.at("shape"));
  const double d = style_.deform;
  const float turn = dice.between(-0.5 * d, 0.5 * d), shear = dice.between(-0.3 * d, 0.3 * d);
  const float width = kRadius * (1 + dice.between(-0.3 * d, 0.1 * d));
  const float height = kRadius * (1 + dice.between(-0.3 * d, 0.1 * d));
  const float shift_x = kCentre + dice.between(-3.2 * d, 3.2 * d),
              shift_y = kCentre + dice.between(-3.2 * d, 3.2 * d);
  const float pen = 1.2f + dice.between(-0.5 * d, 0.6 * d);  // half the stroke width, pixels
  const float ink = 1 - dice.between(0, 0.3 * d);
  const float c = std::cos(turn), s = std::sin(turn);

  Canvas canvas{};
  canvas.squared_distance.fill(1e6f);
  for (const Stroke& stroke : glyphs()[static_cast<size_t>(glyph)].strokes) {
    Point last{};
    for (size_t i = 0; i < stroke.size(); ++i) {
      const float x = stroke[i].x + dice.between(-0.09 * d, 0.09 * d);
      const float y = stroke[i].y + dice.between(-0.09 * d, 0.09 * d);
      const float u = width * (x + shear * y), v = height * y;
      const Point here{shift_x + c * u - s * v, shift_y + s * u + c * v};
      if (i > 0) canvas.segment(last, here, pen + 1);
      last = here;
    }
  }

  // A bar of two to four pixels, upright or level, hides what is under it.
  int64_t bar_begin = 0, bar_end = 0;
  const bool upright = dice.between(0, 1) < 0.5f;
  if (dice.between(0, 1) < style_.occlusion) {
    bar_begin = static_cast<int64_t>(dice.between(5, kGlyphSide - 8));
    bar_end = bar_begin + 2 + static_cast<int64_t>(dice.between(0, 3));
  }

  const auto* noise = noise_.data_ptr<float>();
  if (style_.noise > 0) sample.at("noise").normal_into(noise_);
  const auto strength = static_cast<float>(style_.noise);
  std::fill_n(pixels, kGlyphSide * kGlyphSide, uint8_t{0});
  for (int64_t y = 1; y < kGlyphSide - 1; ++y)
    for (int64_t x = 1; x < kGlyphSide - 1; ++x) {
      const int64_t i = y * kGlyphSide + x, along = upright ? x : y;
      const bool hidden = along >= bar_begin && along < bar_end;
      const float distance = std::sqrt(canvas.squared_distance[static_cast<size_t>(i)]);
      const float covered = hidden ? 0 : ink * std::clamp(pen + 0.5f - distance, 0.0f, 1.0f);
      pixels[i] =
          static_cast<uint8_t>(255 * std::clamp(covered + strength * noise[i], 0.0f, 1.0f) + 0.5f);
    }
}

}  // namespace altprop::data
