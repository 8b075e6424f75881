// Three spiral arms in the plane, one for each class, drawn in the program: a first task for
// continuous networks, which no linear map can do.
//
//   r = sqrt(u) + 0.05,  angle = 0.9 2 pi r + 2 pi class / 3 + 0.1 e,  (x, y) = 2 r (cos, sin)
//
// with u uniform and e normal.
#include <cmath>
#include <numbers>

#include "altprop/data/source.h"
#include "altprop/tensor/random.h"

namespace altprop::data {
namespace {

struct Spirals : Reader {
  static constexpr int64_t kArms = 3;
  int64_t train = 900, test = 900, seed = 0;

  void declare(Options& o) override {
    o.integer("spirals.train", train, {.min = 1, .max = 1e7}, {"training samples", "samples"});
    o.integer("spirals.test", test, {.min = 0, .max = 1e7}, {"test samples", "samples"});
    o.integer("spirals.seed", seed, {.min = 0}, {"seed of all samples"});
  }

  Splits read(const std::string&) const override {
    const Stream stream = Stream(static_cast<uint64_t>(seed)).at("3spirals");
    return {part(train, stream.at("train")), {}, part(test, stream.at("test"))};
  }

  /// Sample i is of class i mod 3 and depends on (seed, part, i) alone.
  static Dataset part(int64_t n, const Stream& stream) {
    Dataset out;
    out.name = "3spirals";
    out.classes = kArms;
    out.mean = {0, 0};  // as they are
    out.stddev = {1, 1};
    out.targets = at::arange(n, at::kLong).remainder(kArms);
    const Tensor radius =
        stream.at("radius").uniform_rows({}, {n, 1}, at::kDouble).squeeze(1).sqrt() + 0.05;
    const Tensor angle = 0.9 * 2 * std::numbers::pi * radius +
                         2 * std::numbers::pi / kArms * out.targets +
                         0.1 * stream.at("angle").normal_rows({}, {n, 1}, at::kDouble).squeeze(1);
    out.inputs =
        at::stack({2 * radius * angle.cos(), 2 * radius * angle.sin()}, 1).to(at::kFloat);
    return out;
  }
};

const Register registered_spirals{{"3spirals",
                                   {},
                                   "three spiral arms in the plane, a class each, no files",
                                   [] { return std::make_unique<Spirals>(); }}};

}  // namespace
}  // namespace altprop::data
