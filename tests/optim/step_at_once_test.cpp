// Momentum's step in the pass that makes the gradient does what the step behind it does.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "altprop/network/ops/linear.h"
#include "altprop/optim/own_updater.h"

namespace altprop {
namespace {

/// One affine map with its updater; float32, as the fused step needs it.
struct TrainedMap {
  OpPtr map = linear(20);
  std::unique_ptr<OwnUpdater> updater;
  Tensor start;

  TrainedMap(const OptimizerSettings& settings, bool in_place) {
    const Spec in{{50}};
    map->build({&in, 1});
    map->params()[0]->value = Stream(1).normal({20, 50});
    for (const ParamPtr& param : map->params()) param->name = "map." + param->name;
    updater = std::make_unique<OwnUpdater>(settings);
    updater->set_in_place(in_place);
    updater->bind(map->params());
    start = weight().clone();
  }
  Tensor& weight() { return map->params()[0]->value; }
  Tensor& bias() { return map->params()[1]->value; }

  /// @param only the parameters that learn from it; none named: both
  /// @param strided credits lie so that the fused step does not take them
  void signal(int64_t number, double scale, std::vector<const Param*> only = {},
              bool strided = false) {
    Saved saved;
    const Tensor x = Stream(2).at(number).normal({8, 50});
    const Tensor cot = Stream(3).at(number).normal({8, 20});
    map->forward({&x, 1}, saved, {Mode::Train});
    updater->take(LocalSignal{map.get(), nullptr, &saved, strided ? cot.t().contiguous().t() : cot,
                              scale, 0, only});
  }
};

OptimizerSettings momentum(double decay) {
  OptimizerSettings s;
  s.kind = "momentum";
  s.lr = 0.1;
  s.weight_decay = decay;
  return s;
}

void expect_equal(TrainedMap& a, TrainedMap& b) {
  EXPECT_TRUE(at::allclose(a.weight(), b.weight(), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(a.bias(), b.bias(), 1e-5, 1e-5));
}

/// Both after the same calls.
void compare(double decay, const std::function<void(TrainedMap&)>& train) {
  at::NoGradGuard no_grad;
  TrainedMap stored(momentum(decay), false), fused(momentum(decay), true);
  train(stored);
  train(fused);
  EXPECT_FALSE(stored.weight().equal(stored.start));
  expect_equal(stored, fused);
}

TEST(StepAtOnce, EqualsTheStepBehindTheGradient) {
  for (const double decay : {0.0, 0.1})
    compare(decay, [](TrainedMap& run) {
      for (int64_t i = 0; i < 4; ++i) {
        run.updater->set_rate_factor(1.0 / static_cast<double>(1 + i));
        run.signal(i, 0.125);
        run.updater->apply();
      }
    });
}

TEST(StepAtOnce, SeveralSignalsOneSignalAndNone) {
  for (const double decay : {0.0, 0.1})
    compare(decay, [](TrainedMap& run) {
      run.signal(0, 0.125);
      run.signal(1, -0.5);
      run.signal(2, 0.25, {}, /*strided=*/true);
      run.updater->apply();
      run.updater->apply();  // momentum alone
      run.signal(2, 0.25);
      const Tensor penalty = 0.1 * run.start;
      run.updater->take(ParamSignal{run.map->params()[0].get(), penalty, 0.5});
      run.updater->apply();
      run.updater->take(ParamSignal{run.map->params()[0].get(), penalty, 0.5});
      run.signal(2, 0.25);
      run.updater->apply();
      run.signal(3, 0.125, {}, /*strided=*/true);
      run.signal(4, 0.125);
      run.updater->apply();
      run.signal(5, 0.125, {run.map->params()[0].get()});  // the weight alone
      run.updater->apply();
      run.signal(6, 0.125, {run.map->params()[1].get()});  // the bias alone
      run.updater->apply();
    });
}

TEST(StepAtOnce, TheDecayOfAnEpochCounts) {
  compare(0, [](TrainedMap& run) {
    run.updater->set_weight_decay(0.3);
    run.signal(0, 0.125);
    run.updater->apply();
  });
}

TEST(StepAtOnce, KeptSignsAreKept) {
  at::NoGradGuard no_grad;
  OptimizerSettings settings = momentum(0);
  settings.keep_signs = true;
  TrainedMap run(settings, true);
  for (int64_t i = 0; i < 5; ++i) {
    run.signal(i, 1);
    run.updater->apply();
  }
  EXPECT_TRUE(run.weight().sign().equal(run.start.sign()));
}

}  // namespace
}  // namespace altprop
