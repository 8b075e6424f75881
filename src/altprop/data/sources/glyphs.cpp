// Drawn in the program: ten glyphs of strokes, each sample under its own affine map, bent strokes,
// pen width, noise and occlusion. No file is needed, so tests, examples and first steps work
// anywhere, and any number of samples is there.
//
// The outermost pixels are always blank, so that the first 28 values of a sample (more than there
// are classes) can carry a label, as Forward-Forward wants it (Hinton 2022, arXiv 2212.13345).
#include <ATen/Parallel.h>

#include "altprop/data/glyph_pen.h"
#include "altprop/data/source.h"
#include "altprop/tensor/random.h"

namespace altprop::data {
namespace {

struct Glyphs : Reader {
  int64_t train = 10000, test = 2000, seed = 0;
  GlyphStyle style;

  void declare(Options& o) override {
    o.integer("glyphs.train", train, {.min = 1, .max = 1e7}, {"training samples", "samples"});
    o.integer("glyphs.test", test, {.min = 0, .max = 1e7}, {"test samples", "samples"});
    o.integer("glyphs.seed", seed, {.min = 0}, {"seed of all samples"});
    o.number("glyphs.noise", style.noise, {.min = 0, .max = 1},
             {"standard deviation of the pixel noise", "1"});
    o.number(
        "glyphs.deform", style.deform, {.min = 0, .max = 2},
        {"strength of rotation, shear, scale, shift and bending; 0: always the same drawing", "1"});
    o.number("glyphs.occlusion", style.occlusion, {.min = 0, .max = 1},
             {"probability of a blank bar", "1"});
  }

  Splits read(const std::string&) const override {
    const Stream stream = Stream(static_cast<uint64_t>(seed)).at("glyphs");
    return {part(train, stream.at("train")), {}, part(test, stream.at("test"))};
  }

  /// Sample i depends on (seed, part, i) alone: not on the size of the set, not on the number of
  /// threads.
  Dataset part(int64_t n, const Stream& stream) const {
    Dataset out;
    out.name = "glyphs";
    out.classes = kGlyphClasses;
    out.scale = 1.0 / 255;
    out.class_names = glyph_names();
    out.inputs = at::zeros({n, 1, kGlyphSide, kGlyphSide}, at::kByte);
    out.targets = at::empty({n}, at::kLong);
    auto* pixels = out.inputs.data_ptr<uint8_t>();
    auto* labels = out.targets.data_ptr<int64_t>();
    at::parallel_for(0, n, 64, [&](int64_t begin, int64_t end) {
      GlyphPen pen(style);
      for (int64_t i = begin; i < end; ++i) {
        const Stream sample = stream.at(i);
        labels[i] = sample.at("class").integer_at(0, kGlyphClasses);
        pen.draw(labels[i], sample, pixels + i * kGlyphSide * kGlyphSide);
      }
    });
    return out;
  }
};

const Register registered_glyphs{
    {"glyphs",
     {},
     "ten stroke glyphs drawn by the program, grey images of 28x28, any number, no files",
     [] { return std::make_unique<Glyphs>(); }}};

}  // namespace
}  // namespace altprop::data
