// Draws one glyph: strokes as anti-aliased distance fields under a random affine map. Used by the
// source `glyphs`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "altprop/tensor/random.h"

namespace altprop::data {

constexpr int64_t kGlyphClasses = 10;
constexpr int64_t kGlyphSide = 28;  ///< pixels, of which the outermost on each side stay 0

struct GlyphStyle {
  double noise = 0.1;      ///< standard deviation of the pixel noise, values in [0, 1]
  double deform = 1;       ///< factor on all deformations
  double occlusion = 0.2;  ///< probability of a blank bar across the glyph
};

/// One name a class: "ring", "cross", ...
std::vector<std::string> glyph_names();

/// Keeps its scratch memory: one pen a thread.
class GlyphPen {
 public:
  explicit GlyphPen(const GlyphStyle& style);

  /// Writes kGlyphSide^2 bytes, row by row, 0 = background. All draws come from `sample`.
  void draw(int64_t glyph, const Stream& sample, uint8_t* pixels);

 private:
  GlyphStyle style_;
  Tensor noise_;
};

}  // namespace altprop::data
