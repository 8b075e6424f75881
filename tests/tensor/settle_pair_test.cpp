// A phase of two layers in one call, against the same steps written out in float64.
#include "altprop/tensor/settle_pair.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/tensor/random.h"

namespace altprop {
namespace {

const std::vector<Squash> kPairForms = {{Squash::Kind::Clamp, 0.5, 0.25, 0, 1},
                                        {Squash::Kind::Sigmoid, 4, -2}};

Tensor squashed(const Tensor& a, const Squash& s) {
  const Tensor z = a * s.gain + s.shift;
  return s.kind == Squash::Kind::Clamp ? z.clamp(s.low, s.high) : z.sigmoid();
}

SettlingPair example(int64_t rows, int64_t n, int64_t k) {
  SettlingPair p;
  p.wide = Stream(1).uniform({rows, n});
  p.narrow = Stream(2).uniform({rows, k});
  p.drive = Stream(3).normal({rows, n});
  p.weight = Stream(4).normal({k, n}).mul_(0.1);
  p.back = p.weight;
  p.bias = Stream(5).normal({k});
  return p;
}

/// @returns the largest |move| in the last step; the states end in `wide` and `narrow`
double written_out(const SettlingPair& p, int64_t steps, Tensor& wide, Tensor& narrow) {
  const auto exact = [](const Tensor& t) { return t.to(at::kDouble); };
  wide = exact(p.wide);
  narrow = exact(p.narrow);
  double moved = 0;
  for (int64_t t = 0; t < steps; ++t) {
    Tensor a = wide.mm(exact(p.weight).t());
    if (p.bias.defined()) a += exact(p.bias);
    if (p.push.defined()) a -= exact(p.push) * (narrow - exact(p.target));
    const Tensor o = squashed(p.share * a + p.keep_narrow * narrow, p.narrow_sigma);
    const Tensor drive = exact(p.drive) + (p.at_once ? narrow : o).mm(exact(p.back));
    const Tensor h = squashed(p.share * drive + p.keep_wide * wide, p.wide_sigma);
    moved =
        std::max((o - narrow).abs().max().item<double>(), (h - wide).abs().max().item<double>());
    narrow = o;
    wide = h;
  }
  return moved;
}

void expect_same(SettlingPair p, int64_t steps, const std::string& what) {
  ASSERT_TRUE(settle_pair_fits(p)) << what;
  Tensor wide, narrow;
  const double moved = written_out(p, steps, wide, narrow);
  p.wide = p.wide.clone();
  p.narrow = p.narrow.clone();
  EXPECT_NEAR(settle_pair(p, steps), moved, 1e-5) << what;
  EXPECT_LT((p.wide - wide).abs().max().item<double>(), 2e-5) << what;
  EXPECT_LT((p.narrow - narrow).abs().max().item<double>(), 2e-5) << what;
}

TEST(SettlePair, TakesTheStepsWrittenOut) {
  if (!settle_pair_fits(example(2, 64, 3))) GTEST_SKIP() << "no AVX-512";
  for (const auto& [rows, n, k] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{
           {1, 4, 1}, {2, 32, 3}, {3, 33, 8}, {5, 70, 10}, {50, 512, 10}, {7, 129, 12}})
    for (const Squash& form : kPairForms)
      for (const bool at_once : {false, true}) {
        SettlingPair p = example(rows, n, k);
        p.wide_sigma = form;
        p.narrow_sigma = kPairForms[0];
        p.at_once = at_once;
        const std::string what =
            std::to_string(rows) + " " + std::to_string(n) + " " + std::to_string(k);
        for (const int64_t steps : {1, 2, 7}) expect_same(p, steps, what);
        p.target = Stream(6).uniform({rows, k});
        p.push = Stream(7).normal({rows, 1});
        expect_same(p, 4, what + " pushed");
        p.bias = Tensor();
        p.back = Stream(8).normal({k, n}).mul_(0.1);
        expect_same(p, 4, what + " with weights of its own for the way back");
        p.share = 0.25;
        p.keep_wide = 0.75;
        p.keep_narrow = 0.5;
        expect_same(p, 4, what + " a part of the way");
      }
}

TEST(SettlePair, IsTheSameOnSeveralThreads) {
  SettlingPair p = example(51, 300, 10);
  p.wide_sigma = p.narrow_sigma = kPairForms[1];
  if (!settle_pair_fits(p)) GTEST_SKIP() << "no AVX-512";
  SettlingPair q = p;
  q.wide = p.wide.clone();
  q.narrow = p.narrow.clone();
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const double one = settle_pair(p, 40);
  at::set_num_threads(3);
  const double three = settle_pair(q, 40);
  at::set_num_threads(threads);
  EXPECT_EQ(one, three);
  EXPECT_TRUE(at::equal(p.wide, q.wide));
  EXPECT_TRUE(at::equal(p.narrow, q.narrow));
}

TEST(SettlePair, KeepsNaN) {
  SettlingPair p = example(2, 64, 3);
  p.wide_sigma = p.narrow_sigma = kPairForms[0];
  if (!settle_pair_fits(p)) GTEST_SKIP() << "no AVX-512";
  p.drive[1][5] = NAN;
  settle_pair(p, 3);
  EXPECT_TRUE(std::isnan(p.wide[1][5].item<float>()));
  EXPECT_TRUE(p.narrow[1].isnan().all().item<bool>());
  EXPECT_FALSE(p.narrow[0].isnan().any().item<bool>());
}

TEST(SettlePair, LeavesOtherTensorsToTheLibrary) {
  SettlingPair p = example(2, 64, 3);
  if (!settle_pair_fits(p)) GTEST_SKIP() << "no AVX-512";
  EXPECT_FALSE(settle_pair_fits(example(2, 64, 13)));  // too many sums for the registers
  EXPECT_FALSE(settle_pair_fits(example(2, 8, 3)));    // not much wider than the other
  p.wide = p.wide.to(at::kDouble);
  EXPECT_FALSE(settle_pair_fits(p));
  p = example(2, 64, 3);
  p.drive = at::zeros({64, 2}).t();
  EXPECT_FALSE(settle_pair_fits(p));
}

}  // namespace
}  // namespace altprop
