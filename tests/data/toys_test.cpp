// Densities that are drawn in the program, and data without targets.
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/data/loader.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

Tensor toy(const std::string& name, int64_t n, const std::string& seed = "0") {
  const Splits out = load(name, {{"toy.train", std::to_string(n)}, {"toy.seed", seed}});
  return out.train.inputs.to(at::kDouble);
}

TEST(Toys, SamplesGoByTheirNumbersAndTheSeed) {
  for (const std::string name : {"8gaussians", "2spirals", "moons", "checkerboard", "pinwheel"}) {
    const Tensor many = toy(name, 300);
    EXPECT_TRUE(at::equal(toy(name, 100), many.narrow(0, 0, 100))) << name;
    EXPECT_FALSE(at::equal(toy(name, 100, "1"), many.narrow(0, 0, 100))) << name;
    const Splits parts = load(name, {{"toy.train", "50"}, {"toy.test", "50"}});
    EXPECT_FALSE(at::equal(parts.train.inputs, parts.test.inputs));
    EXPECT_TRUE(parts.train.unlabelled());
    EXPECT_EQ(parts.train.targets.sizes(), IntArrayRef({50, 0}));
    // Delivered as they are, although data are standardised elsewhere.
    const Batch batch = Loader(parts.train, {.batch = 50, .shuffle = false}).at(0, 0);
    EXPECT_TRUE(at::allclose(batch.inputs, parts.train.inputs));
    EXPECT_EQ(batch.targets.sizes(), IntArrayRef({50, 0}));
    EXPECT_TRUE(many.isfinite().all().item<bool>());
  }
}

TEST(Toys, EightGaussiansAreOnTheirCircle) {
  const Tensor x = toy("8gaussians", 8000);
  const double radius = 4 / 1.414, deviation = 0.5 / 1.414;
  const Tensor nearest =
      (at::atan2(x.select(1, 1), x.select(1, 0)) / (M_PI / 4)).round() * (M_PI / 4);
  const Tensor off = x - radius * at::stack({nearest.cos(), nearest.sin()}, 1);
  EXPECT_NEAR(off.std().item<double>(), deviation, 0.02);
  EXPECT_NEAR(off.mean().item<double>(), 0, 0.02);
  const Tensor counts = at::bincount((nearest / (M_PI / 4)).round().remainder(8).to(at::kLong));
  EXPECT_EQ(counts.numel(), 8);
  EXPECT_GT(counts.min().item<int64_t>(), 850);
}

TEST(Toys, OthersHaveTheirShapes) {
  const Tensor board = toy("checkerboard", 4000);
  EXPECT_LE(board.abs().max().item<double>(), 4);
  const Tensor square = (board / 2).floor();
  // One colour alone, and all of its eight squares.
  EXPECT_EQ(square.sum(1).remainder(2).sum().item<double>(), 0);
  EXPECT_EQ(std::get<0>(at::unique_dim(square, 0)).size(0), 8);
  const Tensor moons = toy("moons", 4000);
  EXPECT_NEAR(moons.select(1, 0).mean().item<double>(), 0, 0.1);
  const Tensor spirals = toy("2spirals", 4000);
  EXPECT_NEAR(spirals.mean().item<double>(), 0, 0.1);
  EXPECT_NEAR(spirals.norm(2, 1).max().item<double>(), 3.5, 0.5);
  EXPECT_NEAR(toy("pinwheel", 4000).norm(2, 1).mean().item<double>(), 2, 0.1);
}

TEST(Toys, NormalSamplesHaveTheCovarianceOfTheSeed) {
  const Splits a = load("normal", {{"normal.values", "3"}, {"normal.train", "20000"}}),
               b = load("normal",
                        {{"normal.values", "3"}, {"normal.train", "10"}, {"normal.seed", "1"}});
  EXPECT_EQ(a.test.sample_shape(), std::vector<int64_t>{3});
  const Tensor mix =
      at::eye(3, at::kDouble) +
      Stream(0).at("normal").at("mix").normal({3, 3}, at::kDouble) / (2 * std::sqrt(3.0));
  const Tensor x = a.train.inputs.to(at::kDouble), found = x.t().mm(x) / 20000;
  EXPECT_LE((found - mix.mm(mix.t())).abs().max().item<double>(), 0.08);
  EXPECT_FALSE(at::equal(a.train.inputs.narrow(0, 0, 10), b.train.inputs));
}

TEST(Spirals, AreThreeArmsOfTheirFormula) {
  const Splits data = load("3spirals", {{"spirals.train", "3000"}, {"spirals.test", "60"}});
  EXPECT_EQ(data.train.classes, 3);
  EXPECT_TRUE(at::equal(at::bincount(data.train.targets), at::full({3}, 1000, at::kLong)));
  const Tensor x = data.train.inputs.to(at::kDouble) / 2, r = x.norm(2, 1);
  EXPECT_GE(r.min().item<double>(), 0.05);
  EXPECT_LE(r.max().item<double>(), 1.05 + 1e-6);
  EXPECT_NEAR((r - 0.05).square().mean().item<double>(), 0.5, 0.02) << "even over the disc";
  // What is left of the angle is the noise.
  const Tensor off = at::atan2(x.select(1, 1), x.select(1, 0)) - 0.9 * 2 * M_PI * r -
                     2 * M_PI / 3 * data.train.targets;
  const Tensor noise = off - 2 * M_PI * (off / (2 * M_PI)).round();
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(noise.std().item<double>(), 0.1, 0.005);
  const Splits fewer = load("3spirals", {{"spirals.train", "90"}}),
               other = load("3spirals", {{"spirals.train", "90"}, {"spirals.seed", "1"}});
  EXPECT_TRUE(at::equal(fewer.train.inputs, data.train.inputs.narrow(0, 0, 90)));
  EXPECT_FALSE(at::equal(other.train.inputs, fewer.train.inputs));
  EXPECT_FALSE(at::equal(data.test.inputs, data.train.inputs.narrow(0, 0, 60)));
  EXPECT_EQ(fewer.train.size() + fewer.test.size(), 90 + 900);
  // Delivered as they are.
  const Batch batch = Loader(fewer.train, {.batch = 90, .shuffle = false}).at(0, 0);
  EXPECT_TRUE(at::allclose(batch.inputs, fewer.train.inputs));
}

}  // namespace
}  // namespace altprop::data
