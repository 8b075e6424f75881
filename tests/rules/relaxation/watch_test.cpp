// What the instruments say about settling states, against what theory says of them.
#include "altprop/probes/settling.h"
#include "altprop/rules/registry.h"
#include "rules/relaxation/fixture.h"

namespace altprop::testing {
namespace {

Settling settle(const std::string& name, const OptionValues& values, Graph& net) {
  const auto loss = make_loss("squared-error");
  const auto learner = bound(name, values, net, *loss);
  auto& rule = dynamic_cast<Rule&>(*learner);
  at::NoGradGuard no_grad;
  const Tensor x = fixture_inputs(), y = fixture_targets();
  const auto before = gradients(rule, net, *loss, x, y);
  const Step step = Step::look_at({.inputs = x}, y);
  const auto out = watch_settling(rule, step);
  for (const auto& [parameter, gradient] : gradients(rule, net, *loss, x, y))
    EXPECT_TRUE(gradient.equal(before.at(parameter))) << "watching must change nothing";
  EXPECT_TRUE(out.has_value());
  return out.value_or(Settling{});
}

TEST(Watch, ALinearRelaxationReceivesTheExpectedShareInTheExactDirection) {
  for (const std::string rule : {"predictive-coding", "activation-relaxation"}) {
    const std::string prefix = rule == "predictive-coding" ? "pc." : "ar.";
    Graph net = fixture_net();
    const Settling s = settle(
        rule,
        {{prefix + "eta", "0.3"}, {prefix + "steps", "5"}, {prefix + "schedule", "synchronous"}},
        net);
    EXPECT_EQ(s.compared_with, "fixed point");
    EXPECT_EQ(s.steps, (std::vector<int64_t>{1, 2, 3, 4, 5}));
    ASSERT_EQ(s.states.size(), 2u);
    EXPECT_EQ(s.states[0].layer, "fc1");
    EXPECT_EQ(s.states[0].hops, 2);
    EXPECT_NEAR(s.states[0].expected, 0.47178, 1e-12);  // P[Bin(5, .3) >= 2]
    EXPECT_NEAR(s.states[1].expected, 0.83193, 1e-12);
    for (const Settling::State& state : s.states) {
      EXPECT_NEAR(state.scale.back(), state.expected, 1e-12);
      EXPECT_NEAR(state.cosine.back(), 1, 1e-12);
      EXPECT_EQ(state.energy.empty(), rule == "activation-relaxation");
    }
    EXPECT_EQ(s.states[0].scale[0], 0) << "one step, two hops";
    EXPECT_TRUE(std::isnan(s.states[0].residual[0]));
    EXPECT_EQ(s.states[1].steps_needed, 20);  // 1 - .7^t >= .999
  }
}

TEST(Watch, StrictPredictiveCodingFirstArrivesAsTheStepToThePowerOfTheHops) {
  Graph net = fixture_net();
  const Settling s = settle("predictive-coding",
                            {{"pc.mode", "strict"}, {"pc.eta", "0.2"}, {"pc.steps", "20"}}, net);
  EXPECT_EQ(s.compared_with, "credit of backprop");
  EXPECT_NEAR(s.states[1].scale[0], 0.2, 1e-12);
  EXPECT_NEAR(s.states[0].scale[1], 0.04, 1e-12);
  EXPECT_NEAR(s.states[0].cosine[1], 1, 1e-12);
  EXPECT_LT(s.states[1].cosine.back(), 0.99) << "its equilibrium is another gradient";
  EXPECT_NEAR(s.energy_per_sample, 0.5755581478556 / 2, 1e-10);
  EXPECT_LT(s.states[0].residual.back(), s.states[0].residual[1]);
  EXPECT_TRUE(std::isnan(s.states[0].expected));
}

TEST(Watch, ErrorsRelaxToTheSameEquilibrium) {
  Graph one = fixture_net(), other = fixture_net();
  const Settling values =
                     settle("predictive-coding",
                            {{"pc.mode", "strict"}, {"pc.eta", "0.4"}, {"pc.steps", "2000"}}, one),
                 errors =
                     settle("predictive-coding",
                            {{"pc.mode", "epc"}, {"pc.eta", "0.2"}, {"pc.steps", "200"}}, other);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(values.states[i].scale.back(), errors.states[i].scale.back(), 1e-9);
    EXPECT_LT(errors.states[i].residual.back(), 1e-9);
  }
  EXPECT_NEAR(errors.energy_per_sample, 0.5744607280013754 / 2, 1e-10);
  EXPECT_EQ(settling_json(errors)["states"][0]["energy"].size(), errors.steps.size());
}

TEST(Watch, StepsBelowTheStableOneConvergeAndStepsAboveDoNot) {
  for (const std::string mode : {"strict", "epc"}) {
    const auto settled = [&](double eta) {
      Graph net = fixture_net();
      return settle("predictive-coding",
                    {{"pc.mode", mode}, {"pc.eta", std::to_string(eta)}, {"pc.steps", "600"}}, net);
    };
    const double most = settled(0.2).stable_below;
    EXPECT_GT(most, 0.2);
    EXPECT_LT(settled(0.9 * most).states[0].residual.back(), 1e-6) << mode;
    EXPECT_THROW(settled(1.15 * most), Diverged) << mode;
  }
  Graph net = fixture_net();
  EXPECT_TRUE(std::isnan(settle("predictive-coding", {}, net).stable_below)) << "no descent";
}

TEST(Watch, RulesThatRelaxNothingHaveNothingToShow) {
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  const Tensor x = fixture_inputs(), y = fixture_targets();
  for (const OptionValues& values :
       {OptionValues{{"pc.mode", "exact"}}, OptionValues{{"pc.mode", "zil"}}}) {
    const auto rule = bound("predictive-coding", values, net, *loss);
    EXPECT_FALSE(watch_settling(*rule, Step::look_at({.inputs = x}, y))
                     .has_value());
  }
}

}  // namespace
}  // namespace altprop::testing
