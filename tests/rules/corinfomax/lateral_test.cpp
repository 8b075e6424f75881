// The lateral matrices of CorInfoMax: what they invert, how well, and how they fail.
#include "altprop/rules/corinfomax/lateral.h"

#include <ATen/ops/linalg_inv.h>

#include "rules/corinfomax/fixture.h"

namespace altprop::testing {
namespace {

double relative(const Tensor& found, const Tensor& wanted) {
  return (found - wanted).norm().item<double>() / wanted.norm().item<double>();
}

/// Largest relative distance of B from the inverse of the running correlation over 200 batches.
double distance_from_inverse(Lateral::Settings settings, int64_t batch, int64_t units = 3) {
  Lateral lateral({units}, settings, Stream(5), at::kDouble);
  // A correlation of rates in [0, 1] and no draw of Xavier's, whose smallest eigenvalue is
  // anything.
  Tensor r = at::eye(units, at::kDouble).mul_(0.3);
  TensorMap map;
  lateral.state(StateIO::saving(map));
  map["lateral1"] = at::linalg_inv(r);
  lateral.state(StateIO::loading(map));
  double worst = 0;
  for (int64_t step = 0; step < 200; ++step) {
    const Tensor s = Stream(6).at(step).uniform({batch, units}, at::kDouble);
    r = settings.lambda * r + (1 - settings.lambda) * at::mm(s.t(), s) / static_cast<double>(batch);
    lateral.update({s});
    worst = std::max(worst, relative(lateral.matrices()[0], at::linalg_inv(r)));
  }
  return worst;
}

TEST(CorInfoMaxLateral, TheExactUpdateTracksTheInverse) {
  EXPECT_LT(distance_from_inverse({.lambda = 0.95, .exact = true}, 1), 2e-14);
  EXPECT_LT(distance_from_inverse({.lambda = 0.95, .exact = true}, 7), 2e-14);
  EXPECT_LT(distance_from_inverse({.lambda = 0.8, .exact = true}, 20, 6), 2e-13);
}

TEST(CorInfoMaxLateral, ThePaperUpdateLacksTheDenominator) {
  const double far = distance_from_inverse({.lambda = 0.95}, 1),
               nearer = distance_from_inverse({.lambda = 0.995}, 1),
               near = distance_from_inverse({.lambda = 0.9995}, 1);
  EXPECT_GT(far, 0.05);
  EXPECT_LT(nearer, far / 3);
  EXPECT_LT(near, nearer / 3);
}

TEST(CorInfoMaxLateral, StaysSymmetric) {
  for (const int64_t every : {0, 1000}) {
    Lateral lateral({16}, {.lambda = 0.999, .symmetrise_every = every}, Stream(2), at::kFloat);
    for (int64_t step = 0; step < 10000; ++step)
      lateral.update({Stream(3).at(step).uniform({20, 16})});
    const Tensor& b = lateral.matrices()[0];
    // Where a library's product of a matrix with its transpose is not symmetric to the last bit, what
    // is left grows by 1 / lambda in each step, 22,000 times in all.
    EXPECT_LT(relative(b.t(), b), every ? 1e-6 : 1e-3);
    if (every) {
      EXPECT_TRUE(at::equal(b, b.t())) << "10,000 is a multiple of 1000";
    }
  }
}

TEST(CorInfoMaxLateral, SettlesAtTheInverseCorrelation) {
  for (const bool exact : {false, true}) {
    Lateral lateral({3}, {.lambda = 0.99, .exact = exact}, Stream(4), at::kDouble);
    const Tensor s = Stream(8).uniform({12, 3}, at::kDouble);
    for (int step = 0; step < 8000; ++step) lateral.update({s});
    const Tensor inverse = at::linalg_inv(at::mm(s.t(), s) / 12);
    EXPECT_LT(relative(lateral.matrices()[0], exact ? inverse : 0.99 * inverse), 1e-10) << exact;
  }
}

TEST(CorInfoMaxLateral, SaysWhichMatrixIsLost) {
  Lateral lateral({3, 4}, {.lambda = 0.5}, Stream(1), at::kDouble);
  const Tensor small = at::full({1, 3}, 0.01, at::kDouble),
               large = at::full({1, 4}, 9, at::kDouble);
  try {
    lateral.update({small, large});
    FAIL() << "a matrix that is no longer definite was accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "corinfomax: lateral matrix of layer 2 lost positive definiteness: raise cim.lambda "
        "or use cim.lateral=exact");
  }
  Lateral exact({3, 4}, {.lambda = 0.5, .exact = true}, Stream(1), at::kDouble);
  EXPECT_NO_THROW(exact.update({small, large}));
}

std::string sentence_of(Lateral& lateral, const std::vector<Tensor>& rates) {
  try {
    lateral.update(rates);
  } catch (const Diverged& error) {
    return error.what();
  }
  return "";
}

TEST(CorInfoMaxLateral, RatesThatAreNotFiniteAreNamedAndNotTheMatrix) {
  for (const bool exact : {false, true})
    for (const double wrong : {NAN, INFINITY}) {
      Lateral lateral({3, 4}, {.lambda = 0.5, .exact = exact}, Stream(1), at::kDouble);
      Tensor rates = at::full({2, 4}, 0.1, at::kDouble);
      rates[1][2] = wrong;
      EXPECT_EQ(sentence_of(lateral, {at::full({2, 3}, 0.1, at::kDouble), rates}),
                "corinfomax: the rates of layer 2 are not finite, although the inputs are: use smaller "
                "learning rates");
    }
}

// gamma s B s^T = 1.05 takes B's definiteness in this very update, while its diagonal stays positive:
// many updates would go by before a diagonal entry shows it.
TEST(CorInfoMaxLateral, ALossIsSeenInTheUpdateThatCausesIt) {
  for (const int64_t samples : {1, 3, 20})
    for (const auto& [strength, lost] : {std::pair{1.05, true}, {0.95, false}}) {
      Lateral lateral({8}, {.lambda = 0.9, .gamma = 1}, Stream(2), at::kDouble);
      const Tensor b = lateral.matrices()[0].clone();
      // The first sample carries it; the others are small, so that their mean is what it is alone.
      Tensor s = Stream(3).normal({samples, 8}, at::kDouble).mul_(1e-6);
      Tensor one = Stream(4).uniform({1, 8}, at::kDouble);
      one.mul_(at::sqrt(strength * static_cast<double>(samples) / one.mm(b).mm(one.t())).item());
      s[0].copy_(one[0]);
      EXPECT_EQ(sentence_of(lateral, {s}).find("lost positive definiteness") != std::string::npos,
                lost)
          << samples << " " << strength;
      const Tensor after = b - one.mm(b).t().mm(one.mm(b)) / static_cast<double>(samples);
      EXPECT_TRUE(after.diagonal().gt(0).all().item<bool>());
    }
}

TEST(CorInfoMaxLateral, ADecompositionThatFailsIsNoInverse) {
  // A matrix that is not definite, though its diagonal is positive, as rounding can leave it.
  Lateral lateral({2}, {.lambda = 0.5, .exact = true}, Stream(1), at::kDouble);
  TensorMap map;
  lateral.state(StateIO::saving(map));
  map["lateral1"] = at::full({2, 2}, 3, at::kDouble).fill_diagonal_(1);
  lateral.state(StateIO::loading(map));
  EXPECT_EQ(sentence_of(lateral, {at::tensor({1.0, -1.0}, at::kDouble).view({1, 2})}),
            "corinfomax: lateral matrix of layer 1 lost positive definiteness: raise cim.lambda or "
            "compute in float64 (--dtype float64)");
}

TEST(CorInfoMaxLateral, LargestEigenvalue) {
  const Lateral lateral({5}, {}, Stream(9), at::kDouble);
  EXPECT_NEAR(lateral.norm(0),
              std::get<0>(at::linalg_eigh(lateral.matrices()[0])).max().item<double>(), 1e-6);
}

}  // namespace
}  // namespace altprop::testing
