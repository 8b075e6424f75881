// Learning rates over time, against their closed forms: as functions, and as a run takes them.
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/train/experiment.h"
#include "support/device.h"

namespace altprop::schedules {
namespace {

TEST(Schedule, CosineIsHalfAPeriodFromOneToZero) {
  const Schedule s{.kind = "cosine"};
  EXPECT_DOUBLE_EQ(s.factor(0, 0, 8, 0), 1);
  EXPECT_NEAR(s.factor(2, 0, 8, 0), (2 + std::sqrt(2)) / 4, 1e-15);
  EXPECT_NEAR(s.factor(4, 0, 8, 0), 0.5, 1e-15);
  EXPECT_NEAR(s.factor(5, 1.0 / 3, 8, 0), 0.25, 1e-15) << "two thirds of the way";
  EXPECT_NEAR(s.factor(6, 0, 8, 0), (2 - std::sqrt(2)) / 4, 1e-15);
  EXPECT_NEAR(s.factor(8, 0, 8, 0), 0, 1e-15);
  EXPECT_NEAR(s.factor(9, 0.5, 8, 0), 0, 1e-15) << "a run that goes on does not rise again";
}

TEST(Schedule, WarmUpIsARampThatEndsAtItsLastStep) {
  Schedule s{.warmup_steps = 4};
  const double ramp[] = {0.25, 0.5, 0.75, 1, 1, 1};
  for (int64_t step = 0; step < 6; ++step) EXPECT_EQ(s.factor(0, 0, 8, step), ramp[step]) << step;
  s.kind = "cosine";
  EXPECT_NEAR(s.factor(4, 0, 8, 1), 0.25, 1e-15) << "the ramp multiplies the schedule";
  s.warmup_steps = 0;
  EXPECT_EQ(s.factor(0, 0, 8, 0), 1);
}

TEST(Schedule, StepsAndExponentialsAreProducts) {
  const Schedule steps{.kind = "step", .milestones = {"2", "5"}, .gamma = 0.5};
  const double at[] = {1, 1, 0.5, 0.5, 0.5, 0.25, 0.25};
  for (int64_t epoch = 0; epoch < 7; ++epoch) EXPECT_EQ(steps.factor(epoch, 0.9, 7, 0), at[epoch]);
  const Schedule late{.kind = "exponential", .gamma = 0.5, .late_from = 3, .late_gamma = 0.9};
  EXPECT_EQ(late.factor(2, 0.9, 7, 0), 0.25);
  EXPECT_NEAR(late.factor(3, 0, 7, 0), 0.729, 1e-15) << "late-gamma counts from the first epoch";
}

/// The rate of every step.
struct Rates : Observer {
  std::vector<double> taken;
  void on_step(const Trainer& trainer) override {
    taken.push_back(const_cast<Trainer&>(trainer).updater().facts().lr);
  }
};

TEST(Schedule, ARunTakesIt) {
  RunSettings s;
  s.net = "mlp:784-8-10:relu";
  s.data_options = {{"glyphs.train", "160"}, {"glyphs.test", "50"}};
  s.batch = 40;  // four steps an epoch
  s.epochs = 3;
  s.threads = 1;
  s.probe_every = 0;
  s.device = test::test_device().str();
  s.optimizer.lr = 0.02;
  s.schedule = {.kind = "cosine", .warmup_steps = 3};
  Experiment run(s, load_data(s));
  Rates rates;
  run.trainer().observe(rates);
  run.trainer().run();
  ASSERT_EQ(rates.taken.size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    const double t = static_cast<double>(i);
    EXPECT_NEAR(rates.taken[i],
                0.02 * std::min(1.0, (t + 1) / 3) * (1 + std::cos(M_PI * t / 12)) / 2, 1e-15)
        << "step " << i;
  }
}

}  // namespace
}  // namespace altprop::schedules
