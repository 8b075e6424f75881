#include "altprop/tensor/random.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "altprop/tensor/tensor.h"

namespace altprop {
namespace {

TEST(Stream, DrawsAreAFunctionOfTheKeyAlone) {
  // A long
  // draw has a short one as its prefix, also where the short one ends inside a tile.
  Stream s = Stream(7).at("weights").at(3);
  Tensor longer = s.uniform({1000}), shorter = s.uniform({130});
  EXPECT_TRUE(at::equal(longer.narrow(0, 0, 64), shorter.narrow(0, 0, 64)));
  EXPECT_TRUE(at::equal(longer.narrow(0, 0, 130), shorter));
  EXPECT_TRUE(at::equal(s.uniform({1000}), longer));
}

TEST(Stream, PurposesStepsAndSeedsAreIndependent) {
  Tensor a = Stream(1).at("a").normal({20000}), b = Stream(1).at("b").normal({20000});
  Tensor c = Stream(2).at("a").normal({20000}), d = Stream(1).at("a").at(0).normal({20000});
  for (const Tensor& other : {b, c, d}) EXPECT_LT(std::abs((a * other).mean().item<double>()), 0.03);
}

TEST(Stream, UniformMoments) {
  Tensor u = Stream(5).uniform({1 << 20}, at::kDouble);
  EXPECT_NEAR(u.mean().item<double>(), 0.5, 1e-3);
  EXPECT_NEAR(u.var().item<double>(), 1.0 / 12, 1e-3);
  EXPECT_GE(u.min().item<double>(), 0);
  EXPECT_LT(u.max().item<double>(), 1);
}

TEST(Stream, NormalMomentsAndTails) {
  Tensor x = Stream(6).normal({1 << 20}, at::kDouble);
  EXPECT_NEAR(x.mean().item<double>(), 0, 4e-3);
  EXPECT_NEAR(x.var().item<double>(), 1, 6e-3);
  EXPECT_NEAR(x.pow(4).mean().item<double>(), 3, 0.05);
  EXPECT_NEAR(x.abs().gt(2).to(at::kDouble).mean().item<double>(), 0.0455003, 1e-3);
  EXPECT_NEAR(x.abs().gt(3.5).to(at::kDouble).mean().item<double>(), 0.000465258, 1e-4);
  EXPECT_LT(x.abs().max().item<double>(), 5.6);
  EXPECT_TRUE(x.isfinite().all().item<bool>());
}

TEST(Stream, NumberOfThreadsDoesNotChangeTheDraw) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  Tensor one = Stream(8).normal({100003});
  at::set_num_threads(2);
  Tensor two = Stream(8).normal({100003});
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, two));
}

TEST(Stream, DoubleDrawsEqualFloatDraws) {
  EXPECT_TRUE(at::equal(Stream(9).normal({500}, at::kDouble), Stream(9).normal({500}).to(at::kDouble)));
}

TEST(Stream, RefillingGivesTheSameNumbersAsDrawing) {
  const Stream s = Stream(4).at("refill");
  for (at::ScalarType type : {at::kFloat, at::kDouble}) {
    Tensor out = at::empty({7, 33}, type);
    s.uniform_into(out, -0.3, 0.7);
    EXPECT_TRUE(at::equal(out, s.uniform(-0.3, 0.7, {7, 33}, type)));
  }
}

TEST(Stream, PermutationIsABijectionAndUniform) {
  Tensor p = Stream(3).permutation(1000);
  EXPECT_TRUE(at::equal(std::get<0>(p.sort()), at::arange(1000, at::kLong)));
  double first = 0;
  for (int i = 0; i < 2000; ++i) first += Stream(3).at(i).permutation(11)[0].item<int64_t>();
  EXPECT_NEAR(first / 2000, 5, 0.3);
}

}  // namespace
}  // namespace altprop
