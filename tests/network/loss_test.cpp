#include "altprop/network/loss.h"

#include "check_op.h"
#include "network/support.h"

namespace altprop {
namespace {

const std::vector<int64_t> kShape = {4, 3};

TEST(Loss, TheGradientIsThatOfEachSamplesValue) {
  const Tensor classes = at::tensor({2, 0, 1, 2}, at::kLong);
  const Tensor rows = Stream(2).uniform(kShape, at::kDouble);
  for (const std::string& name : loss_names())
    for (const Tensor& target : {classes, rows}) {
      const auto loss = make_loss(name);
      Tensor y = Stream(1).normal(kShape, at::kDouble);
      const Tensor gradient = loss->gradient(y, target);
      ASSERT_EQ(gradient.sizes(), y.sizes());
      ASSERT_EQ(loss->value(y, target).sizes(), IntArrayRef({4}));
      const double h = 1e-5;
      for (int64_t b = 0; b < 4; ++b)
        for (int64_t c = 0; c < 3; ++c) {
          const double kept = y[b][c].item<double>();
          y[b][c] = kept + h;
          const Tensor above = loss->value(y, target);
          y[b][c] = kept - h;
          const Tensor slope = (above - loss->value(y, target)) / (2 * h);
          y[b][c] = kept;
          EXPECT_NEAR(slope[b].item<double>(), gradient[b][c].item<double>(), 1e-8) << name;
          EXPECT_EQ(slope.count_nonzero().item<int64_t>(), 1) << name << ": samples are apart";
        }
    }
}

TEST(Loss, ClassNumbersEqualOneHotRows) {
  const Tensor y = Stream(1).normal(kShape), classes = at::tensor({2, 0, 1, 2}, at::kLong);
  const Tensor rows = Loss::as_rows(classes, y);
  EXPECT_TRUE(at::equal(rows.argmax(1), classes));
  EXPECT_TRUE(at::equal(rows.sum(1), at::ones({4})));
  for (const std::string& name : loss_names()) {
    if (name == "spike-squared-error") continue;  // classes have target times of their own there
    const auto loss = make_loss(name);
    expect_close(loss->value(y, classes), loss->value(y, rows), 1e-6, name);
    expect_close(loss->gradient(y, classes), loss->gradient(y, rows), 1e-6, name);
  }
}

TEST(Loss, KnownValuesAndSums) {
  const Tensor y = at::tensor({1.0, 2.0, 0.0}).view({1, 3}).to(at::kDouble);
  const Tensor target = at::tensor({1}, at::kLong);
  EXPECT_DOUBLE_EQ(make_loss("squared-error")->value(y, target).item<double>(), 1);
  const double z = std::exp(1) + std::exp(2) + 1;
  EXPECT_NEAR(make_loss("ce")->value(y, target).item<double>(), std::log(z) - 2, 1e-12);
  EXPECT_NEAR(make_loss("bce")->value(y, target).item<double>(),
              std::log1p(std::exp(1)) + std::log1p(std::exp(-2)) + std::log(2), 1e-12);
  EXPECT_NEAR(make_loss("ce")->gradient(y, target).sum().item<double>(), 0, 1e-14);
  EXPECT_NEAR(make_loss("ce")->link(y).sum().item<double>(), 1, 1e-14);
}

TEST(Loss, LargeLogitsStayFinite) {
  const Tensor y = at::tensor({1e4, -1e4}).view({1, 2}), target = at::tensor({1}, at::kLong);
  for (const char* name : {"ce", "bce"}) {
    EXPECT_TRUE(make_loss(name)->value(y, target).isfinite().all().item<bool>()) << name;
    EXPECT_TRUE(make_loss(name)->gradient(y, target).isfinite().all().item<bool>()) << name;
  }
}

TEST(Loss, RefusesWhatDoesNotFit) {
  const Tensor y = at::zeros(kShape);
  expect_refusal([] { make_loss("cross-entrpy"); }, "did you mean 'cross-entropy'");
  for (const std::string& name : test::losses_with_targets()) {
    const auto loss = make_loss(name);
    for (const Tensor& target : {at::zeros({4, 2}), at::zeros({3}, at::kLong),
                                 at::full({4}, 3, at::kLong), at::full({4}, -1, at::kLong)}) {
      EXPECT_THROW(loss->value(y, target), UsageError) << name << shape_text(target.sizes());
      EXPECT_THROW(loss->gradient(y, target), UsageError) << name << shape_text(target.sizes());
    }
  }
}

}  // namespace
}  // namespace altprop
