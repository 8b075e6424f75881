// Exact properties of the rules that send credit through substitutes of the weights.
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/rules/feedback/feedback_rule.h"
#include "rules/teacher.h"

namespace altprop {
namespace {

using test::on_device;
using testing::gradients;
using testing::mlp;

using Gradients = std::map<std::string, Tensor>;

const std::vector<std::string> kAll = {"feedback-alignment", "direct-feedback-alignment",
                                       "uniform-sign", "fixed-random-sign",
                                       "batchwise-random-sign"};

double cosine(const Tensor& a, const Tensor& b) {
  return ((a * b).sum() / (a.norm() * b.norm())).item<double>();
}

/// |a - b| / |b| over all entries: zero only if direction and magnitude agree.
double distance(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

void expect_same(const Gradients& a, const Gradients& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, value] : b) EXPECT_LE(distance(a.at(name), value), tolerance) << name;
}

struct Batch {
  Tensor x, y;
  explicit Batch(const Graph& net, int64_t rows = 7, uint64_t seed = 3) {
    std::vector<int64_t> shape{rows};
    for (int64_t n : net.node(net.input_nodes()[0]).spec.shape) shape.push_back(n);
    x = Stream(seed).at("x").normal(shape, net.options());
    y = Stream(seed)
            .at("y")
            .uniform({rows})
            .mul_(net.node(net.output_node()).spec.shape[0])
            .to(on_device(at::kLong));
  }
};

/// The feedback of any rule of this family with the weights themselves as substitutes.
struct Symmetric : FeedbackRule {
  void prepare(Path& path, const Step&) override { path.m.copy_(path.weight->value); }
};

std::unique_ptr<Learner> bound(const std::string& name, Graph& net,
                               const OptionValues& options = {}, uint64_t seed = 1) {
  auto rule = make_rule(name, options);
  rule->bind(net, *make_loss("squared-error"), seed);
  return rule;
}

TensorMap saved(Learner& rule) {
  TensorMap map;
  rule.state(StateIO::saving(map));
  return map;
}

void load(Learner& rule, TensorMap map) { rule.state(StateIO::loading(map)); }

const std::unique_ptr<Loss> kCrossEntropy = make_loss("cross-entropy");

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
  for (const std::string& name : kAll) {
    Graph net = mlp({9, 12, 8, 5}, "relu", 1, at::kDouble);
    Batch batch(net);
    testing::Run run(net, *loss, make_rule(name), {.lr = 0.1});
    for (int step = 0; step < 3; ++step) {
      Gradients own = gradients(run.rule(), net, *loss, batch.x, batch.y, step);
      Gradients exact = gradients(run.rule(), net, *loss, batch.x, batch.y, step, true);
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
    const auto facts = dynamic_cast<Rule&>(*rule).feedback(net);
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
    const FeedbackFact fact = dynamic_cast<Rule&>(*rule).feedback(net)[0];
    EXPECT_NEAR(cosine(fact.feedback, fact.weight), 2 / M_PI, 0.013) << name;
    EXPECT_NEAR((fact.feedback.norm() / fact.weight.norm()).item<double>(), 2, 0.03) << name;
  }
}

TEST(Feedback, TiedWeightsShareOneSubstitute) {
  for (const std::string& name : kAll) {
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
      for (FeedbackFact& fact : dynamic_cast<Rule&>(*rule).feedback(net))
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
    const Tensor m = dynamic_cast<Rule&>(*rule).feedback(net)[0].feedback;
    EXPECT_EQ(m[2].abs().max().item<double>(), 0) << name;
    EXPECT_GT(m[1].abs().min().item<double>(), 0) << name;
  }
}

// ---- the worked example ----

/// x = (1, 2), t = (1, 0), 2-3-2-2 relu, squared error; all numbers worked out by hand.
struct Worked {
  Graph net = mlp({2, 3, 2, 2}, "relu", 1, at::kDouble);
  Tensor x = at::tensor({1.0, 2.0}, on_device(at::kDouble)).view({1, 2});
  Tensor t = at::tensor({1.0, 0.0}, on_device(at::kDouble)).view({1, 2});
  std::unique_ptr<Loss> loss = make_loss("squared-error");
  Tensor m2 = at::tensor({.3, .1, -.2, .2, -.5, .4}, on_device(at::kDouble)).view({2, 3});
  Tensor m3 = at::tensor({.1, .6, -.7, .2}, on_device(at::kDouble)).view({2, 2});

  Worked() {
    set("fc1.weight", {.5, -.25, .25, .5, -.5, .75});
    set("fc1.bias", {.1, -.2, .3});
    set("fc2.weight", {.4, -.2, .1, -.3, .6, .2});
    set("fc2.bias", {.05, -.05});
    set("fc3.weight", {.5, -.4, .2, .3});
    set("fc3.bias", {0, .1});
  }
  void set(const std::string& name, const std::vector<double>& values) {
    for (const ParamPtr& param : net.params())
      if (param->name == name)
        param->value.copy_(at::tensor(values, on_device(at::kDouble)).view(param->value.sizes()));
  }
  /// The bias gradients are the credits.
  void expect(Learner& rule, std::vector<double> delta2, std::vector<double> delta1,
              double tolerance) {
    Gradients g = gradients(rule, net, *loss, x, t);
    for (const auto& [name, values] : {std::pair{"fc2.bias", delta2}, {"fc1.bias", delta1}})
      for (size_t i = 0; i < values.size(); ++i)
        EXPECT_NEAR(g[name][static_cast<int64_t>(i)].item<double>(), values[i], tolerance) << name;
    EXPECT_NEAR(g["fc3.bias"][0].item<double>(), -1.319, 1e-12);
    EXPECT_NEAR(g["fc3.bias"][1].item<double>(), .345, 1e-12);
    EXPECT_LE(distance(g["fc1.weight"], g["fc1.bias"].outer(x[0])), 1e-15);
  }
};

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
    const FeedbackFact fact = dynamic_cast<Rule&>(*rule).feedback(net)[0];
    EXPECT_LE(distance(fact.feedback, fact.weight.sign() * (3 * magnitude)), 1e-14) << scale;
  }
}

// ---- invariances ----

TEST(Feedback, DuplicatingTheBatchChangesNothing) {
  for (const std::string& name : kAll) {
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
    Gradients first = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 0);
    Gradients second = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 1);
    EXPECT_GT(distance(second["fc1.weight"], first["fc1.weight"]), 0.05);
    const Tensor m = dynamic_cast<Rule&>(*rule).feedback(net)[0].feedback;
    net.predict(batch.x);
    expect_same(gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 0), first, 0);
    EXPECT_TRUE(m.sign().equal(net.node(net.find("fc2")).op->weight()->value.sign()));
    EXPECT_TRUE(saved(*rule).empty());
  }
}

TEST(Feedback, SavedStateMakesAnotherSeedTheSameRun) {
  for (const std::string& name : kAll) {
    if (name == "batchwise-random-sign") continue;
    Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
    Batch batch(net);
    auto rule = bound(name, net), other = bound(name, net, {}, 77);
    Gradients wanted = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y);
    load(*other, saved(*rule));
    expect_same(gradients(*other, net, *kCrossEntropy, batch.x, batch.y), wanted, 0);
  }
}

// ---- options ----

TEST(FeedbackOptions, ExactLastAndSkipKeepTheWeight) {
  for (const std::string& name : kAll) {
    Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
    Batch batch(net);
    auto rule = bound(name, net, {{"feedback.exact-last", "true"}});
    Gradients own = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y),
              exact = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 0, true);
    EXPECT_TRUE(at::equal(own["fc2.weight"], exact["fc2.weight"])) << name;
    EXPECT_GT(distance(own["fc1.weight"], exact["fc1.weight"]), 1e-3) << name;
    rule = bound(name, net, {{"feedback.skip", "fc2,fc3"}});
    expect_same(gradients(*rule, net, *kCrossEntropy, batch.x, batch.y), exact, 0);
  }
}

TEST(FeedbackOptions, DensityThinsTheSubstituteForGood) {
  for (const std::string& name : kAll) {
    Graph net = mlp({9, 40, 50, 5}, "tanh", 1, at::kDouble);
    Batch batch(net);
    auto rule = bound(name, net, {{"feedback.density", "0.3"}});
    auto density = [&](Tensor* zeros) {
      Tensor m = name == "direct-feedback-alignment"
                     ? saved(*rule).at("feedback.fc2")
                     : dynamic_cast<Rule&>(*rule).feedback(net)[0].feedback;
      if (zeros) *zeros = m.eq(0);
      return m.ne(0).to(at::kDouble).mean().item<double>();
    };
    Tensor before, after;
    EXPECT_NEAR(density(&before), 0.3, name == "direct-feedback-alignment" ? 0.1 : 0.04) << name;
    gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 5);
    density(&after);
    EXPECT_TRUE(before.equal(after)) << name;
  }
}

TEST(FeedbackOptions, WeightNormHoldsInEveryLayer) {
  const auto loss = make_loss("cross-entropy");
  Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
  Batch batch(net);
  std::vector<double> norms;
  std::vector<Tensor> before;
  for (const ParamPtr& param : net.params()) {
    norms.push_back(param->value.norm().item<double>());
    before.push_back(param->value.clone());
  }
  testing::Run run(net, *loss, make_rule("fa", {{"feedback.weight-norm", "true"}}), {.lr = 0.1});
  for (int i = 0; i < 5; ++i) run.step(batch.x, batch.y);
  for (size_t i = 0; i < norms.size(); ++i) {
    const Tensor& value = net.params()[i]->value;
    EXPECT_FALSE(at::equal(value, before[i]));
    if (value.dim() == 2) {
      EXPECT_NEAR(value.norm().item<double>() / norms[i], 1, 1e-14);
    }
  }
}

TEST(FeedbackOptions, ClippingBoundsCreditsAndGradients) {
  Worked w;
  auto rule = bound("fa", w.net, {{"feedback.grad-clip", "0.3"}});
  load(*rule, {{"feedback.fc2", w.m2}, {"feedback.fc3", w.m3}});
  Gradients g = gradients(*rule, w.net, *w.loss, w.x, w.t);
  // delta3 (-1.319, .345) is no input credit; delta2 = (-.3734, -.7224) is clipped to -.3 each
  // before it goes on: delta1 = -.3 (.5, -.4, .2).
  const Tensor delta1 = at::tensor({-.15, .12, -.06}, on_device(at::kDouble));
  EXPECT_LE(distance(g["fc2.bias"], at::tensor({-.3, -.3}, on_device(at::kDouble))), 1e-14);
  EXPECT_LE(distance(g["fc1.bias"], delta1), 1e-14);
  EXPECT_NEAR(g["fc3.bias"][0].item<double>(), -.3, 1e-14);
}

TEST(FeedbackOptions, SentencesOfRefusal) {
  Graph net = mlp({9, 12, 8, 5});
  auto refusal = [&](const std::string& rule, const OptionValues& options) -> std::string {
    try {
      bound(rule, net, options);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal("fa", {{"feedback.skip", "relu1"}}),
            "node 'relu1': it has no weight, so its credit is exact anyway; name operations with "
            "weights in feedback.skip");
  EXPECT_NE(refusal("fa", {{"feedback.skip", "fc9"}}).find("no operation 'fc9'"),
            std::string::npos);
  EXPECT_EQ(refusal("usf", {{"usf.scale", "-1"}}),
            "option 'usf.scale' of rule 'uniform-sign' must be xavier, kaiming, xiao, unit or a "
            "positive number, but is '-1'");
}

TEST(FeedbackOptions, WarnsWhereUniformSignsBlowUp) {
  Graph net = mlp({64, 64, 64, 64, 10});
  EXPECT_TRUE(bound("usf", net)->warnings({}).empty());
  const auto warnings = bound("usf", net, {{"usf.scale", "unit"}})->warnings({});
  ASSERT_EQ(warnings.size(), 1u);
  // 8 * 8 * sqrt(10)
  EXPECT_EQ(warnings[0],
            "usf.scale=unit: the error grows about 202-fold on its way through 3 layers; use "
            "usf.scale=xavier");
}

}  // namespace
}  // namespace altprop
