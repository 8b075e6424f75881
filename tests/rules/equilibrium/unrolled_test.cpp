// ep.estimator=bptt: exact for the loss after so many steps, whatever the network and the dynamics.
#include <gtest/gtest.h>

#include "rules/equilibrium/fixture.h"

namespace altprop::testing {
namespace {

/// All steps of a short free phase are gone back through, so that central differences see it too.
void expect_exact(EpExample& e, const OptionValues& more) {
  const OptionValues values =
      with({{"ep.estimator", "bptt"}, {"ep.free-steps", "7"}, {"ep.nudged-steps", "9"}}, more);
  const auto rule = bound(kEp, values, e.net, *e.loss);
  expect_numeric(e, e.own(values), 1e-9, [&] {
    return e.loss->value(rule->predict({.inputs = e.x}), e.y).mean().item<double>();
  });
}

TEST(EquilibriumUnrolled, IsTheGradientOfTheLossAfterTheSteps) {
  for (const auto& [text, shape, loss, scale] : shapes())
    for (const char* dynamics : {"alternating", "synchronous"}) {
      SCOPED_TRACE(text + " " + dynamics);
      EpExample e = random_example(text, shape, loss, scale);
      expect_exact(e, {{"ep.dynamics", dynamics}});
    }
}

TEST(EquilibriumUnrolled, UnderGradientFlow) {
  EpExample e =
      random_example("mlp:5-7-6-3:hard-sigmoid:out=half-hard-sigmoid", {5}, "squared-error", 0.3);
  for (const ParamPtr& p : e.net.params())
    if (p->value.dim() == 1) p->value.add_(0.5);
  expect_exact(e, {{"ep.dynamics", "gradient-flow"}, {"ep.epsilon", "0.4"}});
}

TEST(EquilibriumUnrolled, WithSeparateWeights) {
  EpExample e = random_example(
      "chain: conv 3 k=3 p=1, sigmoid, conv 4 k=3, maxpool 2, sigmoid, linear 3, sigmoid",
      {2, 6, 6}, "squared-error", 0.5);
  expect_exact(e, {{"ep.weights", "separate"}});
}

TEST(EquilibriumUnrolled, ManyStepsFromRestAreTheImplicitGradient) {
  for (const auto& [text, shape, loss, scale] : shapes()) {
    SCOPED_TRACE(text);
    EpExample e = random_example(text, shape, loss, scale);
    EXPECT_LT(
        e.error({{"ep.estimator", "bptt"}, {"ep.free-steps", "400"}, {"ep.nudged-steps", "100"}}),
        1e-9);
  }
}

}  // namespace
}  // namespace altprop::testing
