// Separate weights for the way back, and updates in every nudged step.
#include "rules/equilibrium/fixture.h"

namespace altprop::testing {
namespace {

const std::string kConv =
    "chain: conv 3 k=3 p=1, sigmoid, conv 4 k=3, maxpool 2, sigmoid, linear 3";

/// Forward and backward gradients of a rule with weights of its own for the way back.
struct BothWays {
  NamedGradients forward;
  std::vector<Tensor> backward;
};

BothWays gradients_both_ways(Learner& rule, EpExample& e) {
  BothWays out{gradients(rule, e.net, *e.loss, e.x, e.y, 0, false, rule.owned()), {}};
  for (const ParamPtr& p : rule.owned())
    out.backward.push_back(out.forward.extract(p->name).mapped());
  return out;
}

void tie(Learner& rule, const Graph& net) {
  for (const FeedbackFact& fact : rule.feedback())
    const_cast<Tensor&>(fact.feedback).copy_(fact.weight);
}

TEST(EquilibriumWeights, SeparateButEqualWeightsAddUpToTiedOnes) {
  for (const std::string& text :
       {std::string("mlp:5-7-6-3:tanh"), kConv, std::string("mlp:5-7-6-3:tanh:dropout=0.3")}) {
    SCOPED_TRACE(text);
    EpExample e = random_example(
        text, text[0] == 'm' ? std::vector<int64_t>{5} : std::vector<int64_t>{2, 6, 6},
        "cross-entropy", 0.4);
    double before = 0;
    for (const std::string beta : {"0.02", "0.01"}) {
      const OptionValues values = with(kLong, {{"ep.beta", beta}});
      const auto tied = e.own(values);
      const auto rule = bound(kEp, with(values, {{"ep.weights", "separate"}}), e.net, *e.loss);
      tie(*rule, e.net);
      BothWays found = gradients_both_ways(*rule, e);
      const auto facts = rule->feedback();
      ASSERT_EQ(facts.size(), 1u + 0 * found.backward.size());
      found.forward[facts[0].name + ".weight"] += found.backward[0];
      const double error = EpExample::apart(found.forward, tied);
      EXPECT_LT(error, 1e-3);
      if (before > 0) {
        EXPECT_NEAR(before / error, 4, 0.8);
      }
      before = error;
    }
  }
}

TEST(EquilibriumWeights, AsymmetryIsAnErrorThatNoNudgeRemoves) {
  EpExample e = random_example("mlp:5-7-6-3:tanh", {5}, "cross-entropy", 0.8);
  std::vector<double> errors;
  for (const std::string beta : {"0.1", "0.01", "0.001"}) {
    const OptionValues values = with(kLong, {{"ep.beta", beta}, {"ep.weights", "separate"}});
    errors.push_back(EpExample::apart(e.own(values), e.exact(values)));
  }
  EXPECT_GT(errors[2], 0.05);
  EXPECT_NEAR(errors[1], errors[2], 1e-3);
}

TEST(EquilibriumWeights, SameUpdatesBringTheWaysTogether) {
  for (const std::string& text : {std::string("mlp:5-7-6-3:tanh"), kConv}) {
    SCOPED_TRACE(text);
    EpExample e = random_example(
        text, text[0] == 'm' ? std::vector<int64_t>{5} : std::vector<int64_t>{2, 6, 6},
        "cross-entropy", 0.4);
    const OptionValues values = {{"ep.weights", "same-update"}};
    {  // Equal weights: the tied estimator.
      const auto rule = bound(kEp, values, e.net, *e.loss);
      tie(*rule, e.net);
      EXPECT_LT(EpExample::apart(gradients(*rule, e.net, *e.loss, e.x, e.y), e.own({})), 1e-12);
    }
    const double lr = 0.1, decay = 0.05;
    TestRun run(e.net, *e.loss, make_rule(kEp, values),
                {.kind = "sgd", .lr = lr, .weight_decay = decay});
    const auto difference = [&] {
      const FeedbackFact fact = facts_of(run)[0];
      return fact.feedback - fact.weight;
    };
    const Tensor first = difference().clone();
    EXPECT_GT(first.norm().item<double>(), 0.1);
    const Tensor start = e.value(2).clone();
    for (int i = 0; i < 10; ++i) run.step(e.x, e.y);
    EXPECT_LT(distance(difference(), first * std::pow(1 - lr * decay, 10)), 1e-12);
    EXPECT_GT(distance(e.value(2), start), 1e-3);
  }
}

TEST(EquilibriumWeights, TheFirstLayerAndTheReadoutHaveNoWayBack) {
  EpExample e = random_example("mlp:5-7-6-4-3:tanh", {5}, "cross-entropy", 0.4);
  const auto rule = bound(kEp, {{"ep.weights", "separate"}}, e.net, *e.loss);
  std::vector<std::string> names;
  for (const FeedbackFact& fact : rule->feedback())
    names.push_back(fact.name);
  EXPECT_EQ(names, (std::vector<std::string>{"fc2", "fc3"}));
  EXPECT_TRUE(bound(kEp, {}, e.net, *e.loss)->owned().empty());
}

TEST(EquilibriumWeights, TheImplicitEstimatorIsTheReference) {
  EpExample e = random_example(kConv, {2, 6, 6}, "cross-entropy", 0.4);
  EXPECT_EQ(EpExample::apart(e.own({{"ep.estimator", "implicit"}}), e.exact()), 0);
}

TEST(EquilibriumWeights, ContinualUpdatesAreEquilibriumPropagationToFirstOrder) {
  for (const std::string estimator : {"symmetric", "one-sided"}) {
    std::vector<double> errors;
    for (const double lr : {2e-3, 1e-3}) {
      EpExample e = random_example("mlp:5-7-6-3:sigmoid", {5}, "cross-entropy", 0.5);
      const OptionValues values = {
          {"ep.estimator", estimator}, {"ep.free-steps", "60"}, {"ep.nudged-steps", "7"}};
      const auto once = e.own(values);
      const std::vector<Tensor> before = values_of(e.net);
      TestRun run(e.net, *e.loss, make_rule(kEp, with(values, {{"ep.continual", "true"}})),
                  {.kind = "sgd", .lr = lr});
      run.step(e.x, e.y);
      EXPECT_EQ(run.updater().steps(), 7);
      std::map<std::string, Tensor> moved;
      for (size_t i = 0; i < before.size(); ++i)
        moved[e.net.params()[i]->name] = (before[i] - e.value(i)) / lr;
      errors.push_back(EpExample::apart(moved, once));
    }
    EXPECT_LT(errors[1], 0.02) << estimator;
    EXPECT_NEAR(errors[0] / errors[1], 2, 0.2) << estimator;
  }
  {  // Every step sees the weights that the step before left.
    EpExample e = random_example("mlp:5-7-6-3:sigmoid", {5}, "cross-entropy", 0.5),
              same = random_example("mlp:5-7-6-3:sigmoid", {5}, "cross-entropy", 0.5);
    const double lr = 0.5, beta = 0.5;
    TestRun run(e.net, *e.loss,
                make_rule(kEp, {{"ep.continual", "true"},
                                {"ep.estimator", "one-sided"},
                                {"ep.nudged-steps", "4"}}),
                {.kind = "sgd", .lr = lr});
    run.step(e.x, e.y);
    InMotion m(same, Timing::Alternating);
    m.dynamics.settle({.steps = 20});
    Field states = m.dynamics.copy();
    const Nudge nudge{*same.loss, same.y, at::full({3, 1}, beta, at::kDouble)};
    for (int t = 0; t < 4; ++t) {
      InMotion now(same, Timing::Alternating);  // nothing kept from before
      now.dynamics.set_states(states);
      now.dynamics.step(&nudge, false);
      const Field after = now.dynamics.copy();
      Contrast contrast(now.net, now.dynamics, nullptr);
      Gradients sink;
      contrast.deliver({after, states, beta, 1.0 / 3}, sink);
      contrast.deliver_readout(after, *same.loss, same.y, 0.25 / 3, sink);
      for (const ParamPtr& p : same.net.params()) p->value.add_(sink.or_zeros(*p), -lr);
      states = after;
    }
    EXPECT_LT(distance(e.net, same.net), 1e-12);
  }
  // The decay of a batch, spread over its steps.
  EpExample e = random_example("mlp:5-7-3:sigmoid", {5}, "cross-entropy", 0.5);
  const auto rule = make_rule(kEp, {{"ep.continual", "true"}, {"ep.nudged-steps", "7"}});
  rule->prepare_for({.kind = "sgd", .lr = 0.1, .weight_decay = 0.3});
  EXPECT_NEAR(std::pow(1 - 0.1 * rule->weight_decay(0), 7), 1 - 0.1 * 0.3, 1e-14);
}

}  // namespace
}  // namespace altprop::testing
