// Losses of spike times: gradients, silent outputs, targets that they cannot mean.
#include "altprop/network/spike_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/network/right.h"
#include "altprop/tensor/random.h"
#include "network/support.h"

namespace altprop::test {
namespace {

const Tensor& classes() {
  static const Tensor y = at::arange(6).remainder(4);
  return y;
}

void expect_rows(const Tensor& found, const Tensor& expected, const char* what,
                 double tolerance = 1e-12) {
  EXPECT_TRUE(at::allclose(found, expected, tolerance, tolerance)) << what;
}

Tensor output_times() {
  const Tensor t = Stream(3).uniform(0, 2, {6, 4}, at::kDouble);
  t[0][0].fill_(INFINITY);
  t[1].fill_(INFINITY);  // none fires
  t[2][3].fill_(40);     // later than what stands for silence
  return t;
}

TEST(SpikeLoss, GradientsAreDerivativesAndSilenceStandsAtATime) {
  for (const char* name : {"spike-cross-entropy", "spike-squared-error"}) {
    const SpikeLossSettings s{.kappa = 3, .silent_at = 5, .early = 0.5, .late = 1.5};
    const auto loss = make_loss(name, s);
    const Tensor t = output_times(), found = loss->gradient(t, classes());
    const Tensor standing = t.masked_fill(t.isinf(), 5);
    expect_rows(loss->value(t, classes()), loss->value(standing, classes()), name);
    EXPECT_TRUE(at::equal(found, loss->gradient(standing, classes()))) << name;
    for (int64_t i = 0; i < 6; ++i)
      for (int64_t j = 0; j < 4; ++j) {
        const double kept = standing[i][j].item<double>(), h = 1e-6;
        standing[i][j].fill_(kept + h);
        const double above = loss->value(standing, classes())[i].item<double>();
        standing[i][j].fill_(kept - h);
        const double below = loss->value(standing, classes())[i].item<double>();
        standing[i][j].fill_(kept);
        EXPECT_NEAR(found[i][j].item<double>(), (above - below) / (2 * h), 1e-7) << name;
      }
    // Also of rows instead of class numbers.
    const Tensor rows = Stream(4).uniform(0, 1, {6, 4}, at::kDouble).softmax(1);
    const Tensor along = Stream(6).normal({6, 4}, at::kDouble);
    const double h = 1e-5;
    expect_rows(
        loss->curvature(standing, rows, along),
        (loss->gradient(standing + h * along, rows) - loss->gradient(standing - h * along, rows)) /
            (2 * h),
        name, 1e-6);
  }
}

TEST(SpikeLoss, AnOutputThatIsLateStillLearns) {
  const auto loss = make_loss("spike-cross-entropy", {.kappa = 1, .silent_at = 5});
  const Tensor t = at::tensor({40.0, 1.0}, at::kDouble).view({1, 2});
  EXPECT_NEAR(loss->gradient(t, at::zeros({1}, at::kLong))[0][0].item<double>(), 1, 1e-12)
      << "not clamped at 5";
}

TEST(SpikeLoss, TheFirstSpikeIsTheAnswer) {
  const Tensor t = output_times();
  for (const char* name : {"spike-cross-entropy", "spike-squared-error"}) {
    const auto loss = make_loss(name);
    double right = 0;
    for (int64_t i = 0; i < 6; ++i) {
      const auto [time, unit] = t[i].min(0);
      right += std::isfinite(time.item<double>()) &&
               unit.item<int64_t>() == classes()[i].item<int64_t>();
    }
    EXPECT_EQ(loss->right(t, classes()).item<double>(), right);
    EXPECT_TRUE(loss->takes(Kind::SpikeTime));
    EXPECT_FALSE(loss->takes(Kind::Real));
  }
  EXPECT_TRUE(
      at::allclose(make_loss("spike-cross-entropy")->link(t).sum(1), at::ones({6}, at::kDouble)));
  EXPECT_TRUE(make_loss("spike-cross-entropy")
                  ->value(at::full({1, 2}, NAN), at::zeros({1}, at::kLong))
                  .isnan()
                  .item<bool>());
}

TEST(SpikeLoss, RefusesSettingsThatMeanNothing) {
  EXPECT_THROW(make_loss("spike-cross-entropy", {.kappa = 0}), UsageError);
  EXPECT_THROW(make_loss("spike-cross-entropy", {.kappa = NAN}), UsageError);
  EXPECT_THROW(make_loss("spike-cross-entropy", {.silent_at = INFINITY}), UsageError);
  EXPECT_THROW(make_loss("spike-squared-error", {.early = 2, .late = 1}), UsageError);
  const auto loss = make_loss("spike-cross-entropy");
  EXPECT_THROW(loss->admit({1}, at::zeros({3}, at::kLong)), Refusal);
  EXPECT_THROW(loss->admit({2}, at::full({3, 2}, 7.0)), Refusal);
}

}  // namespace
}  // namespace altprop::test
