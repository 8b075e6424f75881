// Exact properties of the rules that send credit through substitutes of the weights.
#include <gtest/gtest.h>

#include <cmath>

#include "rules/pathways.h"

namespace altprop::pathways {
namespace {

// ---- the substitute ----

TEST(Feedback, WeightsAsSubstitutesGiveBackprop) {
  Graph net = mlp({9, 12, 8, 10, 5}, "tanh", 1, at::kDouble);
  Batch batch(net);
  Symmetric rule;
  rule.bind(net, *kCrossEntropy, 1);
  expect_same(gradients(rule, net, *kCrossEntropy, batch.x, batch.y),
              gradients(rule, net, *kCrossEntropy, batch.x, batch.y, 0, true), 0);
}

TEST(Feedback, WeightsLoadedIntoFeedbackAlignmentGiveBackprop) {
  Graph net = mlp({9, 12, 8, 5}, "relu", 1, at::kDouble);
  Batch batch(net);
  auto rule = bound("fa", net);
  TensorMap state;
  for (const char* name : {"fc2", "fc3"})
    for (const ParamPtr& param : net.node(net.find(name)).op->params())
      if (param->value.dim() == 2) state[std::string("feedback.") + name] = param->value;
  EXPECT_GT(
      distance(gradients(*rule, net, *kCrossEntropy, batch.x, batch.y)["fc1.weight"],
               gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 0, true)["fc1.weight"]),
      0.1);
  load(*rule, state);
  expect_same(gradients(*rule, net, *kCrossEntropy, batch.x, batch.y),
              gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 0, true), 0);
}

TEST(Feedback, OutputLayerLearnsByBackpropInEveryStep) {
  const auto loss = make_loss("cross-entropy");
  for (const std::string& name : kPathways) {
    Graph net = mlp({9, 12, 8, 5}, "relu", 1, at::kDouble);
    Batch batch(net);
    testing::TestRun run(net, *loss, make_rule(name), {.lr = 0.1});
    for (int step = 0; step < 3; ++step) {
      NamedGradients own = gradients(run.rule(), net, *loss, batch.x, batch.y, step);
      NamedGradients exact = gradients(run.rule(), net, *loss, batch.x, batch.y, step, true);
      for (const char* param : {"fc3.weight", "fc3.bias"})
        EXPECT_TRUE(at::equal(own[param], exact[param])) << name << ' ' << param;
      EXPECT_GT(distance(own["fc1.weight"], exact["fc1.weight"]), 1e-3) << name;
      run.step(batch.x, batch.y);
    }
  }
}

TEST(Feedback, DirectAndLayerwiseCoincideWithOneHiddenLayer) {
  Graph net = mlp({9, 12, 5}, "tanh", 1, at::kDouble);
  Batch batch(net);
  auto fa = bound("fa", net), dfa = bound("dfa", net);
  load(*dfa, saved(*fa));
  expect_same(gradients(*dfa, net, *kCrossEntropy, batch.x, batch.y),
              gradients(*fa, net, *kCrossEntropy, batch.x, batch.y), 1e-15);
}

TEST(Feedback, AnglesAndNormsOfSubstitutesAtInitialisation) {
  struct Row {
    const char *rule, *init;
    double cosine, ratio;  // |M| / |W|
  };
  // Uniform weights: E|u| / sqrt(E u^2) = sqrt(3) / 2, and its square for two independent draws.
  // Gaussian weights: sqrt(2 / pi) and 2 / pi.
  const double gauss = std::sqrt(2 / M_PI), uniform = std::sqrt(3.0) / 2;
  for (const Row& row :
       {Row{"usf", "xavier", uniform, 1}, Row{"frsf", "xavier", uniform * uniform, 1},
        Row{"brsf", "xavier", uniform * uniform, 1}, Row{"fa", "xavier", 0, 1},
        Row{"usf", "xavier-normal", gauss, 1}, Row{"frsf", "xavier-normal", gauss * uniform, 1},
        Row{"brsf", "xavier-normal", gauss * uniform, 1}}) {
    Graph net = mlp({20, 200, 300, 10}, "relu", 1, at::kDouble);
    initialise(net, Initialiser(row.init), Stream(4));
    auto rule = bound(row.rule, net);
    const auto facts = rule->feedback();
    ASSERT_EQ(facts.size(), 2u);
    EXPECT_EQ(facts[0].name, "fc2");
    for (const FeedbackFact& fact : facts) {
      const double tolerance = 3 / std::sqrt(static_cast<double>(fact.weight.numel()));
      EXPECT_NEAR(cosine(fact.feedback, fact.weight), row.cosine, tolerance)
          << row.rule << row.init;
      EXPECT_NEAR((fact.feedback.norm() / fact.weight.norm()).item<double>(), row.ratio, tolerance)
          << row.rule << row.init;
    }
  }
}

TEST(Feedback, GaussianMagnitudesForGaussianWeights) {
  // cos of |N| sign(W) and W: (E|g|)^2 / E g^2 = 2 / pi. In float32, where draws refill memory.
  for (const char* name : {"frsf", "brsf"}) {
    Graph net = mlp({20, 200, 300, 10}, "relu", 1);
    initialise(net, Initialiser("xavier-normal"), Stream(4));
    auto rule = bound(name, net, {{"feedback.init", "xavier-normal"}, {"feedback.scale", "2"}});
    const FeedbackFact fact = rule->feedback()[0];
    EXPECT_NEAR(cosine(fact.feedback, fact.weight), 2 / M_PI, 0.013) << name;
    EXPECT_NEAR((fact.feedback.norm() / fact.weight.norm()).item<double>(), 2, 0.03) << name;
  }
}

TEST(Feedback, TiedWeightsShareOneSubstitute) {
  for (const std::string& name : kPathways) {
    Graph net;
    int x = net.input({{6}});
    x = net.add(relu(), {net.add(linear(8), {x}, "first")});
    const int one = net.add(linear(8, false), {x}, "one");
    x = net.add(relu(), {one});
    const int two =
        net.add(std::make_shared<Linear>(net.node(one).op->weight(), nullptr), {x}, "two");
    net.output(net.add(linear(3), {net.add(relu(), {two})}, "last"));
    net.to(test::test_device(), at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1));
    auto rule = bound(name, net);
    const TensorMap state = saved(*rule);
    EXPECT_EQ(state.count("feedback.two"), 0u) << name;
    EXPECT_EQ(state.count("feedback.one"), name[0] == 'u' || name[0] == 'b' ? 0u : 1u) << name;
    Batch batch(net);
    expect_same(gradients(*rule, net, *kCrossEntropy, batch.x, batch.y),
                gradients(*rule, net, *kCrossEntropy, batch.x, batch.y), 0);
    if (name == "uniform-sign") {
      // Both uses cross the same M: with W = M the rule is backprop.
      for (FeedbackFact& fact : rule->feedback())
        fact.weight.copy_(fact.feedback);
      expect_same(gradients(*rule, net, *kCrossEntropy, batch.x, batch.y),
                  gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 0, true), 1e-15);
    }
  }
}

TEST(Feedback, SignOfZeroIsZero) {
  for (const char* name : {"usf", "frsf", "brsf"}) {
    Graph net = mlp({4, 5, 6, 3}, "tanh", 1, at::kDouble);
    auto rule = bound(name, net);
    const ParamPtr weight = net.node(net.find("fc2")).op->weight();
    weight->value[2].zero_();
    const Tensor m = rule->feedback()[0].feedback;
    EXPECT_EQ(m[2].abs().max().item<double>(), 0) << name;
    EXPECT_GT(m[1].abs().min().item<double>(), 0) << name;
  }
}

// ---- the worked example ----

TEST(Feedback, WorkedExample) {
  Worked w;
  w.expect(*bound("bp", w.net), {-.5905, .6311}, {-.42553, .49676, .06717}, 1e-9);
  auto with = [&](const std::string& name, bool magnitudes) {
    auto rule = bound(name, w.net);
    load(*rule, {{"feedback.fc2", magnitudes ? w.m2.abs() : w.m2},
                 {"feedback.fc3", magnitudes ? w.m3.abs() : w.m3}});
    return rule;
  };
  w.expect(*with("fa", false), {-.3734, -.7224}, {-.2565, .32386, -.21428}, 1e-9);
  w.expect(*with("dfa", false), {-.3734, -.7224}, {-.3267, -.3044, .4018}, 1e-9);
  w.expect(*bound("usf", w.net), {-.68872, 1.17663}, {-1.17974, 1.17974, .30858}, 1e-5);
  w.expect(*with("frsf", true), {.1096, .8604}, {-.13920, .41924, .36608}, 1e-9);
}

TEST(Feedback, ScalesOfUniformSigns) {
  Graph net = mlp({4, 6, 3, 2}, "relu", 1, at::kDouble);
  for (const auto& [scale, magnitude] : {std::pair{"xavier", std::sqrt(2.0 / 9)},
                                         {"kaiming", 1 / std::sqrt(18.0)},
                                         {"xiao", std::sqrt(2.0 / 3)},
                                         {"unit", 1.0},
                                         {"0.25", 0.25}}) {
    auto rule = bound("usf", net, {{"usf.scale", scale}, {"feedback.scale", "3"}});
    const FeedbackFact fact = rule->feedback()[0];
    EXPECT_LE(distance(fact.feedback, fact.weight.sign() * (3 * magnitude)), 1e-14) << scale;
  }
}

// ---- invariances ----

TEST(Feedback, DuplicatingTheBatchChangesNothing) {
  for (const std::string& name : kPathways) {
    for (const char* error : {"e", "sign", "target"}) {
      if (name != "direct-feedback-alignment" && error != std::string("e")) continue;
      Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
      Batch batch(net);
      auto rule = bound(name, net,
                        name == "direct-feedback-alignment" ? OptionValues{{"dfa.error", error}}
                                                            : OptionValues{});
      expect_same(gradients(*rule, net, *kCrossEntropy, at::cat({batch.x, batch.x}),
                            at::cat({batch.y, batch.y})),
                  gradients(*rule, net, *kCrossEntropy, batch.x, batch.y), 1e-14);
    }
  }
}

TEST(Feedback, SeedsDecideSubstitutesAndLeaveWeightsAlone) {
  for (const char* name : {"fa", "dfa", "frsf"}) {
    Graph net = mlp({9, 12, 8, 5}), other = mlp({9, 12, 8, 5});
    const TensorMap a = saved(*bound(name, net)), b = saved(*bound(name, other)),
                    c = saved(*bound(name, other, {{"feedback.seed", "9"}})),
                    d = saved(*bound(name, other, {}, 8));
    EXPECT_TRUE(at::equal(a.at("feedback.fc2"), b.at("feedback.fc2"))) << name;
    EXPECT_FALSE(at::equal(a.at("feedback.fc2"), c.at("feedback.fc2"))) << name;
    // The default is the run's seed + 1.
    EXPECT_TRUE(at::equal(c.at("feedback.fc2"), d.at("feedback.fc2"))) << name;
    for (size_t i = 0; i < net.params().size(); ++i)
      EXPECT_TRUE(at::equal(net.params()[i]->value, other.params()[i]->value)) << name;
  }
}

TEST(Feedback, FirstLayerHasNoSubstitute) {
  for (const char* name : {"fa", "dfa", "frsf"}) {
    Graph net = mlp({9, 12, 8, 5});
    const TensorMap state = saved(*bound(name, net));
    EXPECT_EQ(state.size(), 2u) << name;
    EXPECT_EQ(state.count("feedback.fc1"), 0u) << name;
  }
}

TEST(BatchwiseRandomSign, RedrawsForEachStepAndOnlyThen) {
  for (at::ScalarType type : {at::kFloat, at::kDouble}) {
    Graph net = mlp({9, 12, 8, 5}, "tanh", 1, type);
    Batch batch(net);
    auto rule = bound("brsf", net);
    NamedGradients first = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 0);
    NamedGradients second = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 1);
    EXPECT_GT(distance(second["fc1.weight"], first["fc1.weight"]), 0.05);
    const Tensor m = rule->feedback()[0].feedback;
    net.predict(batch.x);
    expect_same(gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 0), first, 0);
    EXPECT_TRUE(m.sign().equal(net.node(net.find("fc2")).op->weight()->value.sign()));
    EXPECT_TRUE(saved(*rule).empty());
  }
}

TEST(Feedback, SavedStateMakesAnotherSeedTheSameRun) {
  for (const std::string& name : kPathways) {
    if (name == "batchwise-random-sign") continue;
    Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
    Batch batch(net);
    auto rule = bound(name, net), other = bound(name, net, {}, 77);
    NamedGradients wanted = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y);
    load(*other, saved(*rule));
    expect_same(gradients(*other, net, *kCrossEntropy, batch.x, batch.y), wanted, 0);
  }
}

}  // namespace
}  // namespace altprop::pathways
