// Losses over the steps of sequences: the mean over a sequence's own targets.
#include "altprop/network/step_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/tensor/random.h"

namespace altprop {
namespace {

struct StepLoss : ::testing::TestWithParam<const char*> {
  Tensor output = Stream(1).normal({3, 4, 5}, at::kDouble);
  Tensor target = at::tensor({0, 1, 2, 3, 4, 0, -1, -1, -1, -1, 2, -1}, at::kLong).view({3, 4});
  std::unique_ptr<Loss> loss = make_loss(GetParam());
};

TEST_P(StepLoss, IsTheMeanOfTheStepsThatHaveATarget) {
  const Tensor value = loss->value(output, target), gradient = loss->gradient(output, target);
  ASSERT_EQ(value.sizes(), IntArrayRef({3}));
  ASSERT_EQ(gradient.sizes(), output.sizes());
  const std::vector<double> counts = {4, 2, 1};
  for (int64_t i = 0; i < 3; ++i) {
    double sum = 0;
    for (int64_t t = 0; t < 4; ++t) {
      const Tensor row = output[i][t].unsqueeze(0), one = target[i][t].unsqueeze(0);
      const double share = 1 / counts[static_cast<size_t>(i)];
      if (one.item<int64_t>() < 0) {
        EXPECT_EQ(gradient[i][t].abs().max().item<double>(), 0);
        continue;
      }
      sum += share * loss->value(row, one).item<double>();
      EXPECT_TRUE(at::allclose(gradient[i][t], share * loss->gradient(row, one)[0], 1e-13, 1e-15));
    }
    EXPECT_NEAR(value[i].item<double>(), sum, 1e-13);
  }
}

TEST_P(StepLoss, GradientIsTheDerivative) {
  const double h = 1e-6;
  const Tensor gradient = loss->gradient(output, target);
  for (int64_t k : {0, 7, 23, 31, 52}) {
    Tensor up = output.clone(), down = output.clone();
    up.view(-1)[k] += h;
    down.view(-1)[k] -= h;
    const double slope =
        (loss->value(up, target).sum() - loss->value(down, target).sum()).item<double>() / (2 * h);
    EXPECT_NEAR(gradient.view(-1)[k].item<double>(), slope, 1e-8);
  }
}

TEST_P(StepLoss, LinkWorksOnEveryStep) {
  const Tensor link = loss->link(output);
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_TRUE(at::allclose(link[i], loss->link(output[i].contiguous())));
}

TEST_P(StepLoss, WhatDoesNotFitIsRefused) {
  EXPECT_THROW(loss->value(output, target.narrow(1, 0, 3)), UsageError);
  EXPECT_THROW(loss->value(output, at::full({3, 4}, 5, at::kLong)), UsageError);
  EXPECT_THROW(loss->gradient(output, at::zeros({3}, at::kLong)), UsageError);
}

INSTANTIATE_TEST_SUITE_P(Losses, StepLoss,
                         ::testing::Values("cross-entropy", "squared-error",
                                           "sigmoid-cross-entropy"));

TEST(RightAnswers, CountASequenceByTheShareOfItsSteps) {
  const Tensor target = at::tensor({1, 0, 1, -1}, at::kLong).view({2, 2});
  Tensor output = at::zeros({2, 2, 3});
  output[0][0][1] = 1;  // right
  output[0][1][2] = 1;  // wrong
  output[1][0][1] = 1;  // right, the only one
  for (const char* name : {"cross-entropy", "squared-error"}) {
    const auto loss = make_loss(name);
    EXPECT_DOUBLE_EQ(loss->right(output, target).item<double>(), 1.5);
    EXPECT_DOUBLE_EQ(loss->right(output[0], target[0]).item<double>(), 1);
    EXPECT_FALSE(loss->right(output[0], output[0]).defined()) << "values are not right or wrong";
  }
}

}  // namespace
}  // namespace altprop
