// Normal samples of any number of values with a random covariance, drawn in the program: data of
// the shape of a table that is not at hand, and a density that is known.
#include <cmath>

#include "altprop/data/source.h"
#include "altprop/tensor/random.h"

namespace altprop::data {
namespace {

struct Normal : Reader {
  int64_t values = 2, train = 10000, test = 2000, seed = 0;

  void declare(Options& o) override {
    o.integer("normal.values", values, {.min = 1, .max = 10000}, {"values of a sample", "values"});
    o.integer("normal.train", train, {.min = 1, .max = 1e7}, {"training samples", "samples"});
    o.integer("normal.test", test, {.min = 0, .max = 1e7}, {"test samples", "samples"});
    o.integer("normal.seed", seed, {.min = 0}, {"seed of all samples and of their covariance"});
  }

  /// x = (I + N / (2 sqrt(d))) e with N and e normal: sample i depends on (seed, part, i) alone.
  Splits read(const std::string&) const override {
    const Stream stream = Stream(static_cast<uint64_t>(seed)).at("normal");
    const Tensor mix =
        at::eye(values, at::kDouble) + stream.at("mix").normal({values, values}, at::kDouble) /
                                           (2 * std::sqrt(static_cast<double>(values)));
    const auto part = [&](int64_t n, const char* name) {
      Dataset out;
      out.name = "normal";
      out.inputs =
          stream.at(name).normal_rows({}, {n, values}, at::kDouble).mm(mix.t()).to(at::kFloat);
      out.targets = no_targets(n);
      return out;
    };
    return {part(train, "train"), {}, part(test, "test")};
  }
};

const Register registered_normal{
    {"normal",
     {},
     "normal samples of any number of values with a random covariance, without targets, no files",
     [] { return std::make_unique<Normal>(); }}};

}  // namespace
}  // namespace altprop::data
