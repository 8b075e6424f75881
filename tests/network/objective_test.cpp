// Objectives: a loss at targets, or a bare cotangent; curvatures against central differences.
#include "altprop/network/objective.h"

#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/tensor/random.h"
#include "network/support.h"

namespace altprop {
namespace {

Tensor drawn(const char* purpose, std::vector<int64_t> shape) {
  return Stream(4).at(purpose).normal(shape, at::kDouble);
}

TEST(Objective, ALossIsAskedWhereverTheOutputIs) {
  const auto loss = make_loss("cross-entropy");
  const Tensor y = at::tensor({0, 2, 1}, at::kLong), a = drawn("a", {3, 4}), b = drawn("b", {3, 4});
  const Objective objective(*loss, y, 12);
  for (const Tensor& output : {a, b}) {
    EXPECT_TRUE(at::equal(objective.gradient(output), loss->gradient(output, y)));
    EXPECT_TRUE(at::equal(objective.value(output), loss->value(output, y)));
  }
  EXPECT_EQ(objective.scale(), 1.0 / 12) << "of the whole batch, of which three samples are here";
  EXPECT_TRUE(at::equal(objective.rows(1, 2).gradient(a.narrow(0, 1, 2)),
                        objective.gradient(a).narrow(0, 1, 2)));
  EXPECT_TRUE(at::equal(objective.repeated(2).gradient(at::cat({a, b})),
                        at::cat({objective.gradient(a), objective.gradient(b)})));
  EXPECT_TRUE(at::equal(objective.target_rows(a).argmax(1), y));
}

TEST(Objective, ACotangentKnowsNothingElse) {
  const Tensor c = drawn("c", {3, 4}), output = drawn("a", {3, 4});
  const Objective objective = Objective::cotangent(c);
  EXPECT_FALSE(objective.has_loss());
  EXPECT_EQ(objective.scale(), 1);
  EXPECT_TRUE(at::equal(objective.gradient(output), c));
  EXPECT_TRUE(at::equal(objective.rows(1, 1).gradient(output.narrow(0, 1, 1)), c.narrow(0, 1, 1)));
  EXPECT_EQ(objective.curvature(output, drawn("d", {3, 4})).abs().max().item<double>(), 0);
  EXPECT_THROW(objective.gradient(drawn("a", {3, 5})), UsageError);
  EXPECT_THROW(objective.targets(), Error);
  EXPECT_THROW(objective.value(output), Error);
  EXPECT_THROW(Objective::cotangent(Tensor()), UsageError);
}

TEST(Objective, CurvaturesAreDerivativesOfGradients) {
  const Tensor output = drawn("o", {5, 4}), direction = drawn("d", {5, 4});
  const Tensor steps = drawn("s", {5, 2, 4}), along = drawn("t", {5, 2, 4});
  const Tensor classes = at::tensor({0, 2, 1, 3, 3}, at::kLong), values = drawn("v", {5, 4}).abs(),
               of_steps = at::tensor({0, 1, 2, -1, 3, 3, 1, 0, -1, -1}, at::kLong).view({5, 2});
  const double h = 1e-6;
  for (const std::string& name : test::losses_with_targets()) {
    const auto loss = make_loss(name);
    const auto expect = [&](const Tensor& at, const Tensor& v, const Tensor& target) {
      const Tensor numeric =
          (loss->gradient(at + h * v, target) - loss->gradient(at - h * v, target)) / (2 * h);
      EXPECT_LT((loss->curvature(at, target, v) - numeric).abs().max().item<double>(), 1e-8)
          << name;
      // What a loss that does not know it falls back on.
      EXPECT_LT((loss->curvature(at, target, v) - loss->Loss::curvature(at, target, v))
                    .abs()
                    .max()
                    .item<double>(),
                1e-7)
          << name;
    };
    expect(output, direction, classes);
    expect(output, direction, values);
    expect(steps, along, of_steps);
  }
}

TEST(Objective, WithoutALossNothingIsMadeUp) {
  EXPECT_EQ(no_loss().name(), "none");
  const Tensor output = drawn("o", {5, 4});
  EXPECT_THROW(no_loss().gradient(output, output), Error);
  EXPECT_THROW(no_loss().value(output, output), Error);
}

}  // namespace
}  // namespace altprop
