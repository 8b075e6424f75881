// What a loss takes for targets, asked before training: what it cannot mean is refused.
#include "altprop/base/error.h"
#include "altprop/network/loss.h"
#include "check_op.h"
#include "network/support.h"

namespace altprop {
namespace {

std::string objection(const std::string& loss, const std::vector<int64_t>& output,
                      const Tensor& targets) {
  try {
    make_loss(loss)->admit(output, targets);
  } catch (const Refusal& refusal) {
    return refusal.what();
  }
  return "";
}

Tensor column(std::initializer_list<double> values) {
  return at::tensor(std::vector<double>(values), at::kDouble).unsqueeze(1);
}

TEST(LossTargets, RealValuesAreForTheSquaredErrorAlone) {
  const Tensor one = column({0.5, -1.5, 2}), two = at::tensor({0.2, -61.8, 1.0, 3.0}).view({2, 2});
  for (const auto& [output, targets] :
       {std::pair<std::vector<int64_t>, Tensor>{{1}, one}, {{2}, two}}) {
    EXPECT_NE(objection("cross-entropy", output, targets).find("squared-error"), std::string::npos);
    EXPECT_NE(objection("bce", output, targets).find("squared-error"), std::string::npos);
    EXPECT_EQ(objection("squared-error", output, targets), "");
  }
  EXPECT_NE(objection("cross-entropy", {2}, two).find("-61.8"), std::string::npos)
      << "an example is given";
}

TEST(LossTargets, ProbabilitiesAreFine) {
  const Tensor rows = at::tensor({0.25, 0.75, 1.0, 0.0}).view({2, 2});
  EXPECT_EQ(objection("cross-entropy", {2}, rows), "");
  EXPECT_EQ(objection("cross-entropy", {2}, rows.to(at::kFloat)), "");
  EXPECT_EQ(objection("bce", {2}, rows), "");
  EXPECT_EQ(objection("bce", {2}, 0.9 * rows), "") << "each output is a question of its own";
  EXPECT_NE(objection("cross-entropy", {2}, 0.9 * rows).find("sums to 0.9"), std::string::npos);
  EXPECT_EQ(objection("cross-entropy", {3, 2}, rows.unsqueeze(1).expand({2, 3, 2})), "") << "steps";
  EXPECT_NE(objection("cross-entropy", {3, 2}, -rows.unsqueeze(1).expand({2, 3, 2})), "");
}

TEST(LossTargets, OneOutputIsNoChoice) {
  const Tensor classes = at::tensor({0, 0}, at::kLong);
  EXPECT_NE(objection("cross-entropy", {1}, classes).find("probability is 1"), std::string::npos);
  EXPECT_NE(objection("cross-entropy", {}, classes), "");
  EXPECT_EQ(objection("cross-entropy", {2}, classes), "");
  EXPECT_EQ(objection("sigmoid-cross-entropy", {1}, classes), "");
}

TEST(LossTargets, TheOutputHasAsManyValuesAsATarget) {
  for (const std::string& name : test::losses_with_targets())
    EXPECT_NE(objection(name, {10}, column({0.5, 1})).find("a target of the data has shape [1]"),
              std::string::npos)
        << name;
  EXPECT_EQ(objection("squared-error", {1}, column({0.5, 1})), "");
  no_loss().admit({10}, column({0.5, 1}));
}

TEST(LossTargets, ValuesAtEveryStepAreAveragedAsClassesAre) {
  const Tensor output = Stream(1).normal({2, 3, 4}, at::kDouble),
               classes = at::tensor({0, 3, 1, 2, 2, 0}, at::kLong).view({2, 3});
  const Tensor rows = at::one_hot(classes, 4).to(at::kDouble);
  for (const std::string& name : test::losses_with_targets()) {
    const auto loss = make_loss(name);
    const Tensor value = loss->value(output, rows), gradient = loss->gradient(output, rows);
    EXPECT_TRUE(at::allclose(value, loss->value(output, classes))) << name;
    EXPECT_TRUE(at::allclose(gradient, loss->gradient(output, classes))) << name;
    EXPECT_TRUE(at::allclose(loss->curvature(output, rows, output),
                             loss->curvature(output, classes, output)))
        << name;
    EXPECT_FALSE(loss->right(output, rows).defined()) << name;
    EXPECT_THROW(loss->value(output, rows.narrow(1, 0, 2)), UsageError) << name;
  }
}

TEST(LossTargets, TheGradientAtComplexOutputsContinuesTheRealOne) {
  const Tensor y = Stream(1).normal({3, 4}, at::kDouble),
               target = at::one_hot(at::tensor({0, 3, 1}, at::kLong), 4).to(at::kDouble);
  const double h = 1e-6;
  for (const std::string& name : test::losses_with_targets()) {
    const auto loss = make_loss(name);
    ASSERT_TRUE(loss->analytic()) << name;
    const Tensor real = loss->complex_gradient(at::cat({y, at::zeros_like(y)}), target);
    EXPECT_TRUE(at::allclose(real.narrow(0, 0, 3), loss->gradient(y, target))) << name;
    EXPECT_EQ(real.narrow(0, 3, 3).abs().max().item<double>(), 0) << name;
    // A small imaginary part moves the imaginary part of the gradient by the second derivative.
    const Tensor along = Stream(2).normal({3, 4}, at::kDouble);
    const Tensor aside = loss->complex_gradient(at::cat({y, h * along}), target);
    EXPECT_TRUE(at::allclose(aside.narrow(0, 3, 3) / h, loss->curvature(y, target, along), 1e-6))
        << name;
  }
  EXPECT_FALSE(no_loss().analytic());
  EXPECT_THROW(no_loss().complex_gradient(y, target), Refusal);
}

}  // namespace
}  // namespace altprop
