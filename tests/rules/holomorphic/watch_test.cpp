// What nudges on a circle do step by step, as the instruments show it: at every step the estimate
// that a phase of so many steps gives, beside the exact gradient.
#include "altprop/probes/settling.h"
#include "rules/holomorphic/fixture.h"

namespace altprop::testing {
namespace {

Settling watched_circle(Learner& rule, EpExample& e) {
  return watch_settling(rule, Step::look_at({.inputs = e.x}, e.y))
      .value_or(Settling{});
}

Settling watched_circle(EpExample& e, const OptionValues& values) {
  return watched_circle(*bound(kHep, values, e.net, *e.loss), e);
}

/// Of one sample in the vector-field form, the gradient of a layer's bias is the layer's credit.
EpExample single() {
  return random_example("mlp:5-7-6-4-3:shifted-sigmoid", {5}, "cross-entropy", 0.8, 1);
}

TEST(HolomorphicWatch, EveryStepIsTheEstimateOfAPhaseThatEndsThere) {
  const OptionValues field = {{"hep.form", "vector-field"}, {"hep.nudged-steps", "12"}};
  const OptionValues separate = {{"hep.weights", "separate"}, {"hep.correction", "true"}};
  const std::vector<std::pair<int64_t, OptionValues>> cases = {
      {0, {}},
      {1, {{"hep.damping", "0.5"}}},
      {2, separate},
      {4, {}},
      {4, {{"hep.fallback-above", "0.001"}}},
      {5, {{"hep.fallback-above", "0.001"}, {"hep.damping", "0.5"}}}};
  for (const auto& [points, more] : cases) {
    SCOPED_TRACE(points);
    EpExample e = single();
    const OptionValues values = circle(points, 0.3, with(field, more));
    const Settling settling = watched_circle(e, values);
    EXPECT_EQ(settling.compared_with, "implicit gradient");
    EXPECT_EQ(settling.steps.back(), 12);
    ASSERT_EQ(settling.states.size(), 3u);
    const NamedGradients exact = hep(e, values, true);
    for (size_t i = 0; i < settling.steps.size(); ++i) {
      if (settling.steps[i] < 3) continue;  // refused: it does not reach every layer
      const NamedGradients own =
          hep(e, with(values, {{"hep.nudged-steps", std::to_string(settling.steps[i])}}));
      for (const Settling::State& state : settling.states) {
        SCOPED_TRACE(text::cat(state.layer, " after ", settling.steps[i]));
        ASSERT_EQ(state.cosine.size(), settling.steps.size());
        ASSERT_EQ(state.residual.size(), settling.steps.size());
        const Tensor a = own.at(state.layer + ".bias"), b = exact.at(state.layer + ".bias");
        EXPECT_NEAR(state.cosine[i], cosine(a, b), 1e-9);
        EXPECT_NEAR(state.scale[i], (a * b).sum().item<double>() / b.square().sum().item<double>(),
                    1e-9);
      }
    }
  }
}

TEST(HolomorphicWatch, TheResidualIsTheMoveOfAllPointsInAStep) {
  EpExample e = single();
  const Settling settling = watched_circle(e, circle(4, 0.3, {{"hep.nudged-steps", "6"}}));
  const ConvergentNetwork net = convergent_network(e.net, *e.loss);
  const VectorField field(net, nullptr, {});
  const Contour contour = Contour::half_circle(4, 0.3, at::kDouble);
  for (int64_t step = 1; step <= 6; ++step) {
    HolomorphicDynamics run(field, {});
    run.begin(e.x);
    run.settle({.steps = 400});
    run.stack(2, 1);
    ComplexNudge nudge{
        *e.loss, Loss::as_rows(e.y, run.output().narrow(0, 0, 1)).repeat({3, 1}), {}, {}};
    contour.nudges(1, e.x.options(), nudge.beta_re, nudge.beta_im);
    if (step > 1) run.settle({.steps = step - 1}, &nudge);
    const Field before = run.copy();
    run.settle({.steps = 1}, &nudge);
    for (const Settling::State& state : settling.states)
      for (size_t s = 0; s < before.size(); ++s) {
        if (!field.moves(static_cast<int>(s)) || field.layer(static_cast<int>(s)) != state.layer)
          continue;
        const Tensor moved = (run.states()[s] - before[s]).norm() / run.states()[s].norm();
        EXPECT_NEAR(state.residual.at(static_cast<size_t>(step - 1)), moved.item<double>(), 1e-12);
      }
  }
}

TEST(HolomorphicWatch, SymmetricNudgesAreBackpropagationThroughTime) {
  for (const char* damping : {"1", "0.5"}) {
    EpExample e = random_example(
        "chain: conv 3 k=3 p=1, dsilu, conv 4 k=3 p=1, softmaxpool 2, "
        "dsilu, linear 3",
        {2, 6, 6}, "cross-entropy", 0.5);
    const Settling settling = watched_circle(e, circle(0, 1, {{"hep.damping", damping}}));
    for (const Settling::State& state : settling.states) {
      SCOPED_TRACE(state.name);
      EXPECT_EQ(state.hops, state.layer == "conv2" ? 1 : 2) << state.layer;
      for (size_t i = 0; i < state.apart.size(); ++i) {
        if (settling.steps[i] < state.hops) continue;
        EXPECT_LT(state.apart[i], 1e-9) << settling.steps[i];
      }
      EXPECT_LT(state.scale.front(), 0.999);
      EXPECT_NEAR(state.scale.back(), 1, 1e-9);
      EXPECT_LT(state.residual.back(), 1e-9);
    }
  }
  EpExample e = single();
  EXPECT_GT(watched_circle(e, circle(2, 1)).states[0].apart.back(), 1e-3);
  EXPECT_GT(watched_circle(e, circle(0, 1, {{"hep.weights", "separate"}})).states[0].apart.back(),
            1e-2);
}

TEST(HolomorphicWatch, EndsWhereTheRuleEnds) {
  EpExample e = single();
  const OptionValues values = circle(4, 0.1, {{"hep.tolerance", "1e-5"}});
  TestRun run(e.net, *e.loss, make_rule(kHep, values), {.kind = "sgd", .lr = 0});
  run.step(e.x, e.y);
  const Settling settling = watched_circle(run.rule(), e);
  std::map<std::string, double> figures;
  for (const auto& [name, value] : run.rule().measurements()) figures[name] = value;
  EXPECT_LT(settling.steps.back(), 100);
  EXPECT_EQ(settling.steps.back(), figures.at("nudged_steps"));
  // Looking is not counted, and leaves nothing behind.
  watched_circle(run.rule(), e);
  EXPECT_TRUE(run.rule().measurements().empty());
}

TEST(HolomorphicWatch, SaysThatTheRadiusIsTooLarge) {
  const auto look = [](int64_t points, double radius) {
    EpExample e = random_example("mlp:5-7-6-3:shifted-sigmoid", {5}, "cross-entropy", 0.7, 8);
    return watched_circle(e, circle(points, radius));
  };
  const auto apart = [](const Settling& s) { return s.figures.at(0).second; };
  EXPECT_TRUE(look(3, 0.1).figures.empty());
  EXPECT_TRUE(look(4, 0.1).remarks.empty());
  EXPECT_EQ(look(4, 0.1).figures.at(0).first, "half_the_points_apart");
  EXPECT_NEAR(apart(look(4, 0.1)) / apart(look(4, 0.05)), 4, 0.2);  // the error of two points
  // Who follows the advice arrives soon, and not at a needlessly small nudge.
  const std::string advice = "use a smaller one, hep.radius=";
  for (int64_t points : {2, 4, 8}) {
    SCOPED_TRACE(points);
    double radius = 3;
    int rounds = 0;
    for (std::string said = "?"; !said.empty(); ++rounds) {
      ASSERT_LT(rounds, 5);
      said.clear();
      for (const std::string& remark : look(points, radius).remarks)
        if (remark.find("the nudge radius") != std::string::npos) said = remark;
      if (said.empty()) continue;
      EXPECT_NE(said.find("the nudge radius hep.radius=" + text::from_number(radius) + " is "),
                std::string::npos);
      ASSERT_NE(said.find(advice), std::string::npos) << said;
      radius = std::stod(said.substr(said.find(advice) + advice.size()));
    }
    EXPECT_GT(rounds, 1);
    EXPECT_GT(apart(look(points, radius)), 0.03);
  }
}

TEST(HolomorphicWatch, NothingToSeeWithoutARest) {
  EpExample e = single();
  EXPECT_TRUE(watched_circle(e, {{"hep.estimator", "implicit"}}).states.empty());
  EXPECT_TRUE(watched_circle(e, {{"hep.oscillating", "true"}}).states.empty());
}

}  // namespace
}  // namespace altprop::testing
