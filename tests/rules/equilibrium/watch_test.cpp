// What a nudge does step by step, as the instruments show it: the steps of backpropagation through
// time where the free phase has settled and the nudge is small, and visibly not so elsewhere.
#include <gtest/gtest.h>

#include "altprop/probes/settling.h"
#include "rules/equilibrium/fixture.h"

namespace altprop::testing {
namespace {

Settling watched(EpExample& e, const OptionValues& values) {
  const auto rule = bound(kEp, values, e.net, *e.loss);
  const auto out =
      watch_settling(*rule, Step::look_at({.inputs = e.x}, e.y));
  return out.value_or(Settling{});
}

void expect_through_time(EpExample& e, const OptionValues& values) {
  const Settling settling = watched(e, values);
  EXPECT_EQ(settling.compared_with, "implicit gradient");
  EXPECT_GT(settling.steps.size(), 10u);
  for (const Settling::State& state : settling.states) {
    SCOPED_TRACE(state.name);
    EXPECT_GT(state.hops, 0);
    ASSERT_EQ(state.apart.size(), settling.steps.size());
    int64_t known = 0;
    for (size_t i = 0; i < state.apart.size(); ++i) {
      if (std::isnan(state.apart[i])) {
        EXPECT_LT(settling.steps[i], state.hops);  // nothing has arrived
        EXPECT_LT(std::abs(state.scale[i]), 1e-6);
        continue;
      }
      ++known;
      EXPECT_LT(state.apart[i], 1e-5) << settling.steps[i];
    }
    EXPECT_GT(known, 10);
    EXPECT_LT(state.scale.front(), 0.999);
    EXPECT_NEAR(state.scale.back(), 1, 1e-5);
    EXPECT_NEAR(state.cosine.back(), 1, 1e-9);
    EXPECT_LT(state.residual.back(), 1e-6);
  }
}

const OptionValues kSmall = {
    {"ep.beta", "0.0001"}, {"ep.free-steps", "500"}, {"ep.nudged-steps", "300"}};

TEST(EquilibriumWatch, NudgedStepsAreBackpropagationThroughTime) {
  for (const auto& [text, shape, loss, scale] : shapes())
    for (const char* dynamics : {"alternating", "synchronous"}) {
      SCOPED_TRACE(text + " " + dynamics);
      EpExample e = random_example(text, shape, loss, scale);
      expect_through_time(e, with(kSmall, {{"ep.dynamics", dynamics}}));
    }
  for (const auto& [text, shape, loss, scale] : dropped()) {
    SCOPED_TRACE(text);
    EpExample e = random_example(text, shape, loss, scale);
    expect_through_time(e, kSmall);
  }
  EpExample e =
      random_example("mlp:5-7-6-3:hard-sigmoid:out=half-hard-sigmoid", {5}, "squared-error", 0.3);
  for (const ParamPtr& p : e.net.params())
    if (p->value.dim() == 1) p->value.add_(0.5);
  expect_through_time(e, with(kSmall, {{"ep.dynamics", "gradient-flow"}, {"ep.epsilon", "0.4"}}));
}

TEST(EquilibriumWatch, ShowsWhatIsWrong) {
  EpExample e = dense_example();
  const auto apart = [&](const OptionValues& more) {
    return watched(e, with(kSmall, more)).states.at(0).apart.back();
  };
  EXPECT_LT(apart({}), 1e-6);
  EXPECT_GT(apart({{"ep.beta", "0.5"}, {"ep.estimator", "one-sided"}}), 0.1);
  EXPECT_GT(apart({{"ep.free-steps", "3"},
                   {"ep.nudged-steps", "3"},
                   {"ep.beta", "0.01"},
                   {"ep.estimator", "one-sided"}}),
            0.1);
  EXPECT_GT(apart({{"ep.weights", "separate"}}), 0.01);
}

TEST(EquilibriumWatch, NothingToSeeWithoutANudge) {
  EpExample e = dense_example();
  for (const char* estimator : {"implicit", "bptt"})
    EXPECT_TRUE(watched(e, {{"ep.estimator", estimator}}).states.empty());
}

}  // namespace
}  // namespace altprop::testing
