// The random matrix of product feedback alignment: its scale, spectrum, groups, and how well
// products through it align.
#include "altprop/rules/feedback/product_map.h"

#include "rules/feedback/lab.h"

namespace altprop::testing {
namespace {

TEST(ProductMap, AlignmentLawOfRandomAndSparseMatrices) {
  // Angle and norm ratio of B maskR(B^T W) to W; N = 100, 256 inputs; published curve and its law.
  struct Row {
    int64_t k;
    double density, angle, ratio;
  };
  const Tensor w = Initialiser("xavier").draw({100, 256}, Stream(7), at::kDouble);
  for (const Row& row :
       {Row{1, 1, 44.96, 1.418}, Row{2, 1, 35.25, 1.227}, Row{4, 1, 26.57, 1.120},
        Row{10, 1, 17.49, 1.048}, Row{40, 1, 8.99, 1.013}, Row{100, 1, 5.72, 1.005},
        Row{10, .5, 24.40, .549}, Row{10, .3, 30.65, .349}, Row{10, .17, 38.78, .218},
        Row{10, .1, 47.27, .148}, Row{10, .05, 58.57, .096}}) {
    double angle = 0, ratio = 0, full = 0;
    const int draws = 4;
    for (int i = 0; i < draws; ++i) {
      const Expansion expansion{Expansion::Kind::Random, row.k};
      const ProductMap b({.outputs = 100}, expansion, row.density, 1, Stream(i), at::kDouble);
      const ProductMap f({.outputs = 100}, expansion, row.density, 1 / std::sqrt(row.density),
                         Stream(i), at::kDouble);
      const Tensor mask = Stream(i).at("R").bernoulli(row.density, {100 * row.k, 256}, at::kDouble);
      const Similarity s = similarity(b.contract(b.expand(w) * mask), w);
      angle += s.angle_degrees / draws;
      ratio += s.magnitude_ratio / draws;
      full += similarity(f.contract(f.expand(w) * mask), w).magnitude_ratio * s.cosine / draws;
    }
    EXPECT_NEAR(angle, row.angle, 1.0) << row.k << " " << row.density;
    EXPECT_NEAR(ratio / row.ratio, 1, 0.02) << row.k << " " << row.density;
    EXPECT_NEAR(full, 1, 0.04) << row.k << " " << row.density;  // the component along W
  }
}

TEST(ProductMap, OrthogonalAndBlockedMatrices) {
  const Tensor w = Stream(7).normal({12, 5, 3}, at::kDouble);
  const ProductMap ortho({.outputs = 12, .groups = 3, .last = false}, Expansion::parse("ortho"), 1,
                         1, Stream(1), at::kDouble);
  EXPECT_LT(distance(ortho.contract(ortho.expand(w)), w), 1e-14);
  EXPECT_FALSE(ortho.gram().defined());
  const ProductMap depthwise({.outputs = 12, .groups = 12, .last = false},
                             Expansion::parse("ortho"), 1, 1, Stream(1), at::kDouble);
  EXPECT_TRUE(at::equal(depthwise.expand(w).abs(), w.abs()));
  // Groups stay apart: channels 0..3 make units 0..19 alone.
  const ProductMap blocks({.outputs = 12, .groups = 3, .last = false},
                          Expansion{Expansion::Kind::Random, 5}, 1, 1, Stream(1), at::kDouble);
  Tensor one = at::zeros({12, 5, 3}, at::kDouble);
  one.narrow(0, 0, 4).copy_(w.narrow(0, 0, 4));
  EXPECT_EQ(blocks.units(), 60);
  EXPECT_EQ(blocks.expand(one).narrow(0, 20, 40).abs().max().item<double>(), 0);
  EXPECT_LT(distance(ProductMap::mix(blocks.gram(), w), blocks.contract(blocks.expand(w))), 1e-14);
  // Credit takes the same way over the channel axis as the weight does.
  const Tensor credit = Stream(8).normal({2, 12, 4, 3}, at::kDouble);
  EXPECT_LT(distance(blocks.spread(credit).select(0, 1).flatten(1),
                     blocks.expand(credit.select(0, 1).flatten(1))),
            1e-14);
}

TEST(ProductMap, SpectrumOfBBTIsMarchenkoPasturs) {
  for (const int64_t k : {2, 10}) {
    const ProductMap b({.outputs = 200}, Expansion{Expansion::Kind::Random, k}, 1, 1, Stream(3),
                       at::kDouble);
    const Tensor eigenvalues = at::linalg_eigvalsh(b.gram()[0]);
    const double root = 1 / std::sqrt(static_cast<double>(k));
    EXPECT_NEAR(eigenvalues.mean().item<double>(), 1, 0.01);
    EXPECT_NEAR(eigenvalues.var().item<double>() * static_cast<double>(k), 1, 0.05);
    EXPECT_GT(eigenvalues.min().item<double>(), std::pow(1 - root, 2) * 0.9);
    EXPECT_LT(eigenvalues.max().item<double>(), std::pow(1 + root, 2) * 1.05);
  }
}

}  // namespace
}  // namespace altprop::testing
