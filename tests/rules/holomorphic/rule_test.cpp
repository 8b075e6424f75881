// Holomorphic equilibrium propagation as a rule: networks of every shape, feedback of every kind,
// oscillations, noise, what it refuses and what it warns of.
#include "rules/holomorphic/fixture.h"

namespace altprop::testing {
namespace {

const std::string kDag =
    "dag: x = input(4); a = tanh(linear(x, 5)); b = tanh(linear(a, 6)); "
    "c = tanh(linear(concat(b, x), 5)); y = linear(add(a, c), 3); output y";

TEST(HolomorphicRule, IsExactOnEveryShapeOfNetwork) {
  const std::vector<std::tuple<std::string, std::vector<int64_t>, std::string, double>> shapes = {
      {"mlp:5-7-6-4-3:sigmoid", {5}, "squared-error", 0.5},
      {"mlp:5-6-6-3:tanh:residual=true", {5}, "cross-entropy", 0.4},
      {"mlp:5-6-3:dsilu:out=sigmoid", {5}, "sigmoid-cross-entropy", 0.4},
      {kDag, {4}, "cross-entropy", 0.4},
      {"chain: conv 3 k=3 p=1, sigmoid, conv 4 k=2, avgpool 2, dsilu, gap, linear 3, sigmoid",
       {2, 6, 6},
       "squared-error",
       0.5}};
  for (const auto& [text, shape, loss, scale] : shapes) {
    SCOPED_TRACE(text);
    EpExample e = random_example(text, shape, loss, scale);
    EXPECT_LT(hep_error(e, circle(0, 0.1)), 1e-11);
    const double far = hep_error(e, circle(4, 0.2)), near = hep_error(e, circle(4, 0.1));
    EXPECT_NEAR(far / near, 16, 4);
    const OptionValues separate = {{"hep.weights", "separate"}};
    EXPECT_GT(hep_error(e, circle(0, 0.1, separate)), 1e-3);
    EXPECT_LT(hep_error(e, circle(0, 0.1, with(separate, {{"hep.correction", "true"}}))), 1e-11);
  }
}

TEST(HolomorphicRule, SingleEdgesAreTheOnlyFeedback) {
  EpExample e =
      random_example("mlp:4-5-4-3:shifted-sigmoid:out=shifted-sigmoid", {4}, "squared-error", 0.5);
  const OptionValues loop = {{"hep.feedback-edges", "fc3>fc1"}};
  const auto rule = bound(kHep, circle(4, 0.1, loop), e.net, *e.loss);
  ASSERT_EQ(rule->owned().size(), 1u);
  EXPECT_EQ(rule->owned()[0]->name, "feedback.fc3.fc1");
  EXPECT_EQ(shape_text(rule->owned()[0]->value.sizes()), "[5, 3]");
  const NamedGradients g = gradients_of_all(*rule, e);
  for (const auto& [name, value] : g) EXPECT_GT(value.norm().item<double>(), 1e-7) << name;
  EXPECT_GT(hep_error(e, circle(0, 0.1, loop)), 0.3);
  EXPECT_LT(hep_error(e, circle(0, 0.1, with(loop, {{"hep.correction", "true"}}))), 1e-11);
  // Without the edge into the first layer nothing but the output's own push moves anything.
  EXPECT_NE(refusal([&] {
              bound(kHep, {{"hep.feedback-edges", "fc3>fc2"}}, e.net, *e.loss);
            }).find("no feedback reaches"),
            std::string::npos);
  EXPECT_NE(refusal([&] {
              bound(kHep, {{"hep.feedback-edges", "fc3>fc9"}}, e.net, *e.loss);
            }).find("is no pair from>to"),
            std::string::npos);
}

TEST(HolomorphicRule, SeparateWeightsStartAtAnAngle) {
  EpExample e = random_example("mlp:40-30-30-3:tanh", {40}, "cross-entropy", 0.4);
  const auto fact = [&](const std::string& angle) {
    const auto rule =
        bound(kHep, {{"hep.weights", "separate"}, {"hep.feedback-angle", angle}}, e.net, *e.loss);
    const FeedbackFact f = rule->feedback().at(0);
    return cosine(f.feedback, f.weight);
  };
  EXPECT_NEAR(fact("0"), 1, 1e-12);
  EXPECT_NEAR(fact("45"), std::sqrt(0.5), 0.1);
  EXPECT_NEAR(fact("90"), 0, 0.15);
}

TEST(HolomorphicRule, OscillationsThatSettleAtEveryPointAreTheCircle) {
  EpExample e = dense_example();
  for (const std::string form : {"energy", "vector-field"}) {
    const OptionValues values = circle(8, 0.1, {{"hep.form", form}, {"hep.free-steps", "200"}});
    const NamedGradients still = hep(e, values),
                         moving = hep(e, with(values, {{"hep.oscillating", "true"},
                                                       {"hep.periods", "2"},
                                                       {"hep.nudged-steps", "80"}}));
    // The mean state over the circle is the free one only to the order of the circle.
    EXPECT_LT(EpExample::apart(moving, still), form == "energy" ? 1e-11 : 1e-6) << form;
  }
  EXPECT_LT(hep_error(e, circle(8, 0.1, {{"hep.oscillating", "true"}, {"hep.nudged-steps", "80"}})),
            1e-6);
  // Few steps a point: states lag behind, and the estimate is another.
  EXPECT_GT(EpExample::apart(
                hep(e, circle(8, 0.1, {{"hep.oscillating", "true"}, {"hep.nudged-steps", "2"}})),
                hep(e, {}, true)),
            0.01);
}

TEST(HolomorphicRule, FiniteNudgesOutlastNoise) {
  EpExample e = random_example("mlp:5-7-6-3:shifted-sigmoid", {5}, "cross-entropy", 0.4, 8);
  const NamedGradients exact = hep(e, {}, true);
  const auto mean_cosine = [&](int64_t points, double radius) {
    double sum = 0;
    const auto rule = bound(
        kHep,
        circle(points, radius,
               {{"hep.noise", "0.015"}, {"hep.nudged-steps", "30"}, {"hep.free-steps", "60"}}),
        e.net, *e.loss);
    for (int64_t index = 0; index < 20; ++index) {
      const NamedGradients g = gradients(*rule, e.net, *e.loss, e.x, e.y, index);
      double dot = 0, a = 0, b = 0;
      for (const auto& [name, value] : exact) {
        if (name.rfind("fc1", 0) != 0) continue;
        dot += (g.at(name) * value).sum().item<double>();
        a += g.at(name).square().sum().item<double>();
        b += value.square().sum().item<double>();
      }
      sum += dot / std::sqrt(a * b) / 20;
    }
    return sum;
  };
  const double small = mean_cosine(1, 0.05), large = mean_cosine(4, 0.8);
  EXPECT_LT(small, 0.5);
  EXPECT_GT(large, 0.9);
  // Drawn anew in every step, and the same in a repeated one.
  const auto rule = bound(kHep, circle(4, 0.4, {{"hep.noise", "0.04"}}), e.net, *e.loss);
  const auto at = [&](int64_t index) {
    return gradients(*rule, e.net, *e.loss, e.x, e.y, index).at("fc1.weight");
  };
  EXPECT_TRUE(at::equal(at(3), at(3)));
  EXPECT_FALSE(at::equal(at(3), at(4)));
}

void expect_parts_of_the_whole(EpExample& e, const OptionValues& options) {
  const int64_t n = e.x.size(0), first = n / 2;
  for (const Tensor& ids : {Tensor(), Stream(5).permutation(100).narrow(0, 0, n)}) {
    const auto learner = bound(kHep, circle(4, 0.4, options), e.net, *e.loss);
    Rule& rule = dynamic_cast<Rule&>(*learner);
    const Look whole{.inputs = e.x, .ids = ids, .draws = Stream(2)};
    const auto learn = [&](const Look& look, const Tensor& y, Sink& sink) {
      Step step = Step::look_at(look, y);
      rule.assign(step, sink);
    };
    Gradients at_once, in_parts;
    learn(whole, e.y, at_once);
    learn(whole.part(0, first), e.y.narrow(0, 0, first), in_parts);
    learn(whole.part(first, n - first), e.y.narrow(0, first, n - first), in_parts);
    for (const auto& [param, gradient] : at_once.all())
      EXPECT_LT((in_parts.of_param(*param) - gradient).norm().item<double>(), 1e-11)
          << param->name << (ids.defined() ? " with numbers" : " by place");
  }
}

TEST(HolomorphicRule, NoiseGoesByTheSample) {
  at::NoGradGuard no_grad;
  EpExample e = random_example("mlp:5-7-6-3:shifted-sigmoid", {5}, "cross-entropy", 0.4);
  expect_parts_of_the_whole(e, {{"hep.noise", "0.04"}});
}

TEST(HolomorphicRule, DrawsOfHomeostasisGoByTheSample) {
  at::NoGradGuard no_grad;
  EpExample e = random_example(
      "chain: conv 3 k=3 p=1, shifted-sigmoid, conv 2 k=3, shifted-sigmoid, linear 3", {1, 5, 5},
      "cross-entropy", 0.3);
  expect_parts_of_the_whole(
      e, {{"hep.weights", "separate"}, {"hep.homeostasis", "0.5"}, {"hep.homeostasis-draws", "3"}});
}

TEST(HolomorphicRule, DampingSettlesWhatSwings) {
  EpExample e = random_example("mlp:5-7-6-3:shifted-sigmoid", {5}, "cross-entropy", 0.4);
  EXPECT_LT(
      EpExample::apart(hep(e, circle(4, 0.1, {{"hep.damping", "0.5"}})), hep(e, circle(4, 0.1))),
      1e-11);
  // Two units that inhibit each other strongly: all at once, they swing.
  EpExample swing("mlp:1-1-1-2:shifted-sigmoid", {1}, 2, "cross-entropy");
  swing.value(0).fill_(0);
  swing.value(1).fill_(1.2);
  swing.value(2).fill_(-1.4);
  swing.value(3).fill_(1.2);
  swing.x = at::ones({1, 1}, at::kDouble);
  swing.y = at::zeros({1}, at::kLong);
  EXPECT_GT(hep_error(swing, circle(2, 0.01)), 0.1);
  EXPECT_LT(hep_error(swing, circle(2, 0.01, {{"hep.damping", "0.5"}})), 1e-2);
}

TEST(HolomorphicRule, SamplesThatOverflowAreLeftOutAndCounted) {
  EpExample e = random_example("mlp:4-5-3", {4}, "squared-error", 0.5, 3);
  EpExample f("mlp:4-5-3:shifted-sigmoid", {4}, 3, "squared-error");
  for (size_t i = 0; i < 4; ++i) f.value(i).copy_(e.value(i));
  f.x = e.x;
  f.y = Loss::as_rows(e.y, at::empty({3, 3}, at::kDouble)).clone();
  const auto rule = bound(kHep, circle(4, 0.5), f.net, *f.loss);
  const NamedGradients whole =
      gradients(*rule, f.net, *f.loss, f.x.slice(0, 0, 2), f.y.slice(0, 0, 2));
  const auto own = bound(kHep, circle(4, 0.5), f.net, *f.loss);
  f.y[2].fill_(INFINITY);
  const NamedGradients rest = gradients(*own, f.net, *f.loss, f.x, f.y);
  for (const auto& [name, g] : whole)
    EXPECT_LT((rest.at(name) - g * 2 / 3).norm().item<double>(), 1e-12) << name;
  const std::vector<std::string> said = own->notices();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("1 of 3 samples overflowed"), std::string::npos);
}

TEST(HolomorphicRule, RefusesWhatHasNoMeaning) {
  EpExample clamp = random_example("mlp:5-7-6-3:hard-sigmoid", {5}, "cross-entropy", 0.4);
  EpExample pool =
      random_example("chain: conv 3 k=3 p=1, sigmoid, conv 4 k=3 p=1, sigmoid, maxpool 2, linear 3",
                     {2, 6, 6}, "cross-entropy", 0.5);
  EpExample smooth = random_example("mlp:5-7-6-3:tanh", {5}, "cross-entropy", 0.4);
  const auto why = [](EpExample& e, const OptionValues& values) {
    return refusal([&] { bound(kHep, values, e.net, *e.loss); });
  };
  const std::vector<std::tuple<EpExample*, OptionValues, std::string>> cases = {
      {&clamp, {}, "hard-sigmoid is not complex-differentiable"},
      {&clamp, {{"hep.points", "0"}}, "hard-sigmoid is not complex-differentiable"},
      {&clamp, {{"hep.points", "2"}}, ""},
      {&pool, {}, "max_pool2d is not complex-differentiable"},
      {&pool, {{"hep.points", "2"}}, ""},
      {&pool, {{"hep.points", "2"}, {"hep.oscillating", "true"}}, "max_pool2d is not complex"},
      {&smooth, {}, ""},
      {&smooth, {{"hep.radius", "0"}}, "hep.radius must not be 0"},
      {&smooth, {{"hep.form", "energy"}, {"hep.weights", "separate"}}, "defined for tied weights"},
      {&smooth, {{"hep.correction", "true"}}, "tied ones have none"},
      {&smooth, {{"hep.homeostasis", "1"}}, "these are tied"},
      {&smooth, {{"hep.oscillating", "true"}, {"hep.points", "1"}}, "needs points to go around"},
      {&smooth,
       {{"hep.oscillating", "true"}, {"hep.weights", "separate"}, {"hep.correction", "true"}},
       "needs the free equilibrium"},
      {&smooth, {{"hep.fallback-above", "1"}, {"hep.points", "2"}}, "there are no more points"},
      {&smooth, {{"hep.fallback-above", "1"}, {"hep.oscillating", "true"}}, "there are no more"},
      {&smooth, {{"hep.drop-above", "1"}, {"hep.oscillating", "true"}}, "never visits"},
      {&smooth, {{"hep.nudged-steps", "1"}}, "use at least hep.nudged-steps=2"}};
  for (const auto& [e, values, part] : cases) {
    const std::string found = why(*e, values);
    if (part.empty()) {
      EXPECT_EQ(found, "");
    } else {
      EXPECT_NE(found.find(part), std::string::npos) << part << " | " << found;
    }
  }
}

/// What a rule says and measures after a training step.
struct Trained {
  std::vector<std::string> said;
  std::map<std::string, double> figures;
};

Trained one_step(EpExample& e, const OptionValues& values, int steps = 1) {
  TestRun run(e.net, *e.loss, make_rule(kHep, values), {.kind = "sgd", .lr = 0.05});
  for (int i = 0; i < steps; ++i) run.step(e.x, e.y);
  Trained out{run.rule().notices(), {}};
  for (const auto& [name, value] : run.rule().measurements()) out.figures[name] = value;
  return out;
}

bool says(const Trained& t, const std::string& part) {
  return std::any_of(t.said.begin(), t.said.end(),
                     [&](const std::string& s) { return s.find(part) != std::string::npos; });
}

TEST(HolomorphicRule, WarnsOfWhatShowsOnlyWhileTraining) {
  const auto fresh = [] {
    return random_example("mlp:5-7-6-3:shifted-sigmoid", {5}, "cross-entropy", 0.7, 8);
  };
  EpExample e = fresh();
  EXPECT_TRUE(one_step(e, circle(4, 0.1)).said.empty());
  e = fresh();
  EXPECT_TRUE(says(one_step(e, circle(4, 3)), "the nudge radius hep.radius=3 is too large"));
  e = fresh();
  EXPECT_TRUE(says(one_step(e, circle(2, 3)), "beyond the linear range"));
  e = fresh();
  EXPECT_TRUE(says(one_step(e, circle(4, 0.1, {{"hep.nudged-steps", "2"}})),
                   "nudged phases have not settled: at beta = 0.1"));
  e = fresh();
  EXPECT_TRUE(says(one_step(e, circle(4, 0.1, {{"hep.free-steps", "2"}})), "hep.free-steps"));
  e = fresh();
  e.net.to(at::kCPU, at::kFloat);
  e.x = e.x.to(at::kFloat);
  EXPECT_TRUE(says(one_step(e, circle(2, 1e-5)), "rounding in float32"));
}

TEST(HolomorphicRule, MeasuresCreditsAndSymmetry) {
  EpExample e = random_example("mlp:5-7-6-3:shifted-sigmoid", {5}, "cross-entropy", 0.7, 8);
  const Trained tied = one_step(e, circle(0, 0.1));
  EXPECT_NEAR(tied.figures.at("credit_cosine_fc1"), 1, 1e-6);
  EXPECT_EQ(tied.figures.count("asymmetry"), 0u);
  EXPECT_EQ(tied.figures.at("dropped_samples"), 0);
  const auto separate = [](const OptionValues& more, int steps = 1) {
    EpExample f = random_example("mlp:5-7-6-3:shifted-sigmoid", {5}, "cross-entropy", 1, 8);
    const OptionValues few = {
        {"hep.weights", "separate"}, {"hep.free-steps", "100"}, {"hep.nudged-steps", "40"}};
    return one_step(f, circle(4, 0.1, with(few, more)), steps);
  };
  const Trained apart = separate({});
  const double asymmetry = apart.figures.at("asymmetry"),
               wrong = apart.figures.at("credit_cosine_fc1");
  EXPECT_LT(wrong, 0.95);
  EXPECT_GT(asymmetry, 0.05);
  EXPECT_LT(apart.figures.at("symmetry_score"), 0.9);
  // Homeostasis makes the feedback symmetric, and the credits right. Figures are the mean of the
  // first and the last look.
  const Trained pulled = separate({{"hep.homeostasis", "10"}}, 101);
  EXPECT_LT(pulled.figures.at("asymmetry"), 0.6 * asymmetry);
  EXPECT_GT(pulled.figures.at("credit_cosine_fc1"), wrong + 0.3 * (1 - wrong));
  // The correction needs no symmetry.
  EXPECT_GT(separate({{"hep.correction", "true"}}).figures.at("credit_cosine_fc1"), 0.999);
}

}  // namespace
}  // namespace altprop::testing
