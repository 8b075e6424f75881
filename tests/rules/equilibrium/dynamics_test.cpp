// How states settle, and what the rule says when they do not.
#include "altprop/base/text.h"
#include "rules/equilibrium/fixture.h"

namespace altprop::testing {
namespace {

double apart(const Field& a, const Field& b) {
  double worst = 0;
  for (size_t s = 1; s < a.size(); ++s)
    if (a[s].defined()) worst = std::max(worst, (a[s] - b[s]).abs().max().item<double>());
  return worst;
}

TEST(EquilibriumDynamics, AllTimingsEndInTheSameState) {
  for (const std::string text :
       {"mlp:5-7-6-3:hard-sigmoid:out=hard-sigmoid", "mlp:5-7-6-3:half-hard-sigmoid",
        "mlp:5-7-6-3:centred-hard-sigmoid:out=centred-hard-sigmoid"}) {
    EpExample e = random_example(text, {5}, "squared-error", 0.5);
    std::vector<Field> ends;
    for (const auto& [timing, epsilon] : {std::pair{Timing::Synchronous, 1.0},
                                          {Timing::Alternating, 1.0},
                                          {Timing::GradientFlow, 0.5},
                                          {Timing::GradientFlow, 0.2}}) {
      InMotion m(e, timing, epsilon);
      const Nudge nudge{*e.loss, e.y, at::full({3, 1}, 0.3, at::kDouble)};
      m.dynamics.settle({.steps = 600}, &nudge);
      ends.push_back(m.dynamics.copy());
      EXPECT_LT(apart(ends.front(), ends.back()), 1e-10) << text;
    }
    EXPECT_GT(ends[0][1].std().item<double>(), 1e-3);
  }
}

TEST(EquilibriumDynamics, GradientFlowWithAWholeStepIsSynchronous) {
  EpExample e =
      random_example("mlp:5-7-6-3:half-hard-sigmoid:out=hard-sigmoid", {5}, "squared-error", 0.8);
  InMotion flow(e, Timing::GradientFlow, 1), map(e, Timing::Synchronous),
      half(e, Timing::GradientFlow, 0.5);
  for (int t = 0; t < 4; ++t) {
    for (InMotion* m : {&flow, &map, &half}) m->dynamics.step(nullptr, false);
    EXPECT_EQ(apart(flow.dynamics.states(), map.dynamics.states()), 0);
    EXPECT_GT(apart(half.dynamics.states(), map.dynamics.states()), 1e-6);
  }
}

TEST(EquilibriumDynamics, PhasesOfOneHiddenLayerAreTheirSteps) {
  // In float32 a phase is one call where the processor can (tensor/settle_pair.h); a step never is.
  for (const std::string f : {"half-hard-sigmoid", "hard-sigmoid"}) {
    EpExample e = random_example("mlp:5-40-3:" + f + ":out=" + f, {5}, "squared-error", 0.8, 7);
    e.net.to(at::kCPU, at::kFloat);
    e.x = e.x.to(at::kFloat);
    const Nudge nudge{*e.loss, e.y, at::full({7, 1}, 0.3, at::kFloat)};
    for (const auto& [timing, epsilon] : {std::pair{Timing::Synchronous, 1.0},
                                          {Timing::Alternating, 1.0},
                                          {Timing::GradientFlow, 0.3}}) {
      InMotion phase(e, timing, epsilon), steps(e, timing, epsilon);
      for (const Nudge* nudged : {static_cast<const Nudge*>(nullptr), &nudge}) {
        const Settled settled = phase.dynamics.settle({.steps = 6}, nudged);
        double moved = 0;
        for (int t = 0; t < 6; ++t) moved = steps.dynamics.step(nudged, t == 5);
        EXPECT_EQ(settled.steps, 6);
        EXPECT_NEAR(settled.residual, moved, 1e-6) << f;
        EXPECT_LT(apart(phase.dynamics.states(), steps.dynamics.states()), 1e-5) << f;
        EXPECT_LT((phase.dynamics.output() - steps.dynamics.output()).abs().max().item<double>(),
                  1e-5);
      }
      EXPECT_GT(apart(phase.dynamics.states(), InMotion(e, timing, epsilon).dynamics.states()),
                1e-2);
      if (timing != Timing::Alternating) continue;  // the others may swing
      const Settled rest = phase.dynamics.settle({.steps = 500, .tolerance = 1e-5}, &nudge);
      EXPECT_LT(rest.steps, 500);
      EXPECT_EQ(rest.steps % 5, 0);
      EXPECT_LT(rest.residual, 1e-5);
    }
  }
}

TEST(EquilibriumDynamics, LayersInPanelsAreMatrices) {
  // In float32 a phase lays its matrices out anew (tensor/packed_matrix.h); a step never does.
  EpExample e = random_example("mlp:5-40-35-18-3:hard-sigmoid", {5}, "cross-entropy", 0.8, 7);
  e.net.to(at::kCPU, at::kFloat);
  e.x = e.x.to(at::kFloat);
  const Nudge nudge{*e.loss, e.y, at::full({7, 1}, 0.3, at::kFloat)};
  for (const Timing timing : {Timing::Synchronous, Timing::Alternating}) {
    InMotion phase(e, timing), steps(e, timing);
    for (const Nudge* nudged : {static_cast<const Nudge*>(nullptr), &nudge}) {
      phase.dynamics.settle({.steps = 12}, nudged);
      for (int t = 0; t < 12; ++t) steps.dynamics.step(nudged, false);
      EXPECT_LT(apart(phase.dynamics.states(), steps.dynamics.states()), 1e-5);
    }
    EXPECT_GT(apart(phase.dynamics.states(), InMotion(e, timing).dynamics.states()), 1e-2);
    // Other weights make other panels.
    e.value(2).mul_(0.5);
    for (InMotion* m : {&phase, &steps}) m->dynamics.weights_changed();
    phase.dynamics.settle({.steps = 12}, &nudge);
    for (int t = 0; t < 12; ++t) steps.dynamics.step(&nudge, false);
    EXPECT_LT(apart(phase.dynamics.states(), steps.dynamics.states()), 1e-5);
  }
}

TEST(EquilibriumDynamics, PhasesAreRowsThatDoNotMeet) {
  EpExample e = conv_example();
  InMotion both(e, Timing::Alternating);
  both.dynamics.settle({.steps = 9});
  const Field free = both.dynamics.copy();
  both.dynamics.stack(2);
  const Tensor beta = at::full({2, 1}, 0.4, at::kDouble);
  const Nudge two{*e.loss, e.y.repeat({2}), at::cat({beta, -beta})};
  both.dynamics.settle({.steps = 5}, &two);
  for (const double sign : {1.0, -1.0}) {
    InMotion one(e, Timing::Alternating);
    one.dynamics.set_states(free);
    const Nudge nudge{*e.loss, e.y, sign * beta};
    one.dynamics.settle({.steps = 5}, &nudge);
    for (size_t s : {size_t{1}, size_t{2}})
      EXPECT_LT(distance(both.state(s).narrow(0, sign > 0 ? 0 : 2, 2), one.state(s)), 1e-14);
  }
}

TEST(EquilibriumDynamics, ANudgeTakesItsTimeToTheFirstLayer) {
  EpExample e = random_example("mlp:5-6-6-6-3:tanh", {5}, "cross-entropy", 0.5);
  for (const auto& [timing, least] :
       {std::pair{Timing::Synchronous, 3}, {Timing::Alternating, 2}}) {
    InMotion m(e, timing);
    m.dynamics.settle({.steps = 500});
    const Field rest = m.dynamics.copy();
    const Nudge nudge{*e.loss, e.y, at::full({3, 1}, 0.5, at::kDouble)};
    for (int t = 1; t <= least; ++t) {
      m.dynamics.step(&nudge, false);
      const double moved = (m.state(1) - rest[1]).abs().max().item<double>();
      if (t < least) {
        EXPECT_LT(moved, 1e-12) << t;
      } else {
        EXPECT_GT(moved, 1e-6) << t;
      }
    }
  }
  for (const auto& [dynamics, least] : {std::pair{"synchronous", 3}, {"alternating", 2}})
    for (const std::string option : {"ep.nudged-steps", "ep.free-steps"}) {
      const auto ask = [&, d = std::string(dynamics)](int64_t steps) {
        return refusal([&] {
          bound(kEp, {{"ep.dynamics", d}, {option, std::to_string(steps)}}, e.net, *e.loss);
        });
      };
      EXPECT_NE(ask(least - 1).find(text::cat("use at least ", option, "=", least)),
                std::string::npos)
          << ask(least - 1);
      EXPECT_EQ(ask(least), "");
    }
}

TEST(EquilibriumDynamics, StopsWhenNothingMoves) {
  EpExample e = dense_example();
  InMotion m(e, Timing::Synchronous);
  const Settled settled = m.dynamics.settle({.steps = 400, .tolerance = 1e-6, .check_every = 3});
  EXPECT_EQ(settled.steps % 3, 0);
  EXPECT_LT(settled.steps, 30);
  EXPECT_LT(settled.residual, 1e-6);
  InMotion shorter(e, Timing::Synchronous);
  EXPECT_GE(shorter.dynamics.settle({.steps = settled.steps - 3}).residual, 1e-6);
}

TEST(EquilibriumDynamics, StartingFromASweepUpIsNearer) {
  EpExample e = random_example("mlp:5-7-6-3:sigmoid", {5}, "cross-entropy", 0.5);
  InMotion rest(e, Timing::Synchronous), zero(e, Timing::Synchronous), up(e, Timing::Synchronous);
  rest.dynamics.settle({.steps = 300});
  up.dynamics.sweep_up();
  for (InMotion* m : {&zero, &up}) m->dynamics.settle({.steps = 3});
  EXPECT_LT(apart(up.dynamics.states(), rest.dynamics.states()),
            0.7 * apart(zero.dynamics.states(), rest.dynamics.states()));
  const auto a = e.own(with(kLong, {{"ep.start", "forward"}})), b = e.own(kLong);
  EXPECT_LT(EpExample::apart(a, b), 1e-10);
  const OptionValues soon = {{"ep.free-steps", "1"}, {"ep.nudged-steps", "1"}};
  EXPECT_GT(EpExample::apart(e.own(with(soon, {{"ep.start", "forward"}})), e.own(soon)), 1e-4);
}

/// What the rule says after one step on a batch.
std::string said(EpExample& e, const OptionValues& values, double lr = 1e-3) {
  TestRun run(e.net, *e.loss, make_rule(kEp, values), {.kind = "sgd", .lr = lr});
  run.step(e.x, e.y);
  std::string all;
  for (const std::string& sentence : run.rule().notices()) all += sentence + "\n";
  EXPECT_TRUE(run.rule().notices().empty());
  run.step(e.x, e.y);
  EXPECT_TRUE(run.rule().notices().empty()) << "said twice";
  return all;
}

void expect_said(const std::string& all, const std::string& part) {
  EXPECT_NE(all.find(part), std::string::npos) << all;
}

TEST(EquilibriumDynamics, SaysWhatGoesWrong) {
  EpExample fine = random_example("mlp:5-7-6-3:sigmoid", {5}, "cross-entropy", 0.5);
  EXPECT_EQ(said(fine, {{"ep.dynamics", "synchronous"}, {"ep.free-steps", "40"}}), "");
  // Pairs of units joined by a strong negative weight: each follows the other's last value.
  EpExample swing = random_example("mlp:5-3-3:tanh:out=tanh", {5}, "squared-error", 0.5);
  swing.value(2).copy_(at::eye(3, at::kDouble) * -3);
  expect_said(said(swing, {{"ep.dynamics", "synchronous"}}), "period of two steps");
  expect_said(said(swing, {{"ep.dynamics", "synchronous"}}), "use ep.dynamics=alternating");
  EpExample dead = random_example("mlp:5-7-6-3:hard-sigmoid", {5}, "cross-entropy", 0.1);
  dead.value(1).fill_(-3);
  expect_said(said(dead, {}), "of the units of 'hard-sigmoid1'");
  EpExample early = random_example("mlp:5-7-6-3:sigmoid", {5}, "cross-entropy", 1.5);
  expect_said(said(early, {{"ep.free-steps", "2"}, {"ep.beta", "0.05"}}), "raise ep.free-steps");
  EpExample far = random_example("mlp:5-7-6-3:shifted-sigmoid", {5}, "cross-entropy", 1);
  expect_said(said(far, {{"ep.beta", "50"}}), "use a smaller ep.beta");
  EpExample coarse = random_example("mlp:5-7-6-3:sigmoid", {5}, "cross-entropy", 0.5);
  coarse.net.to(at::kCPU, at::kFloat);
  coarse.x = coarse.x.to(at::kFloat);
  expect_said(said(coarse, {{"ep.beta", "1e-5"}}), "rounding in float32");
}

TEST(EquilibriumDynamics, RefusesOptionsThatDoNotGoTogether) {
  EpExample e = random_example("mlp:5-7-3:tanh", {5}, "cross-entropy", 0.5);
  const auto ask = [&](const OptionValues& values) {
    return refusal([&] { bound(kEp, values, e.net, *e.loss); });
  };
  EXPECT_NE(ask({{"ep.dynamics", "gradient-flow"}}).find("not for tanh; use hard-sigmoid"),
            std::string::npos);
  EXPECT_NE(ask({{"ep.beta", "0"}}).find("must not be 0"), std::string::npos);
  EXPECT_NE(ask({{"ep.continual", "true"}, {"ep.weights", "separate"}}).find("use ep.weights=tied"),
            std::string::npos);
  const auto rule = bound(kEp, {{"ep.readout", "state"}}, e.net, *e.loss);
  ASSERT_EQ(rule->warnings({}).size(), 1u);
  expect_said(rule->warnings({})[0], "has no bound");
}

TEST(EquilibriumDynamics, CountsItsStepsForTheRecord) {
  EpExample e = dense_example();
  TestRun run(
      e.net, *e.loss,
      make_rule(kEp, {{"ep.tolerance", "1e-5"}, {"ep.check-every", "2"}, {"ep.free-steps", "90"}}),
      {.kind = "sgd", .lr = 1e-3});
  EXPECT_TRUE(run.rule().measurements().empty());
  for (int i = 0; i < 3; ++i) run.step(e.x, e.y);
  std::map<std::string, double> found;
  for (const auto& [name, value] : run.rule().measurements()) found[name] = value;
  EXPECT_GT(found.at("free_steps"), 3);
  EXPECT_LT(found.at("free_steps"), 30);
  EXPECT_LT(found.at("free_residual"), 1e-5);
  EXPECT_GT(found.at("least_interior"), 0.9);
  EXPECT_TRUE(run.rule().measurements().empty());
}

}  // namespace
}  // namespace altprop::testing
