// Kolen-Pollack: exactness with aligned feedback, the law of the difference, its implicit form.
#include "rules/feedback/lab.h"

namespace altprop::testing {
namespace {

const OptimizerSettings kKpMomentum{
    .kind = "momentum", .lr = 0.05, .momentum = 0.9, .weight_decay = 0.01};

/// Largest deviation of V - W from c (V0 - W0), relative to |V0 - W0|.
struct Law {
  std::vector<Tensor> first;
  Law(TestRun& run, const Graph& net) {
    for (const FeedbackFact& f : facts_of(run))
      first.push_back((f.feedback - f.weight).clone());
  }
  double deviation(TestRun& run, const Graph& net, double c) const {
    double worst = 0;
    const auto facts = facts_of(run);
    for (size_t i = 0; i < facts.size(); ++i)
      worst = std::max(worst,
                       (facts[i].feedback - facts[i].weight - first[i] * c).norm().item<double>() /
                           first[i].norm().item<double>());
    return worst;
  }
};

TEST(KolenPollack, DifferenceDecaysAsTheLawSaysWhateverTheData) {
  // Values of the law at lr .05, decay .01, momentum .9: computed independently.
  Graph net = mlp({6, 9, 8, 4}, "relu", 3, at::kDouble);
  const auto loss = make_loss("cross-entropy");
  TestRun run(net, *loss, make_rule("kp"), kKpMomentum);
  const Law law(run, net);
  for (int i = 0; i < 200; ++i) {
    const BatchOf batch = draw_batch({8, 6}, 4, 100 + i);
    run.step(batch.x, batch.y);
    if (i == 4) {
      EXPECT_LT(law.deviation(run, net, 0.99343569829303758), 1e-13);
    }
  }
  EXPECT_LT(law.deviation(run, net, 0.36743742622024617), 1e-13);
  for (const FeedbackFact& fact : facts_of(run)) {
    EXPECT_NEAR(fact.predicted_factor, 0.36743742622024617, 1e-14);
    EXPECT_NEAR(fact.measured_factor, 0.36743742622024617, 1e-13);
  }
  EXPECT_EQ(facts_of(run).size(), 2u);  // not the first layer
}

TEST(KolenPollack, LawOfPlainDescentAndOfAdamWIsAPowerOfTheDecay) {
  for (const std::string kind : {"sgd", "adamw"}) {
    Graph net = conv_net();
    const auto loss = make_loss("cross-entropy");
    TestRun run(net, *loss, make_rule("kp"), {.kind = kind, .lr = 0.05, .weight_decay = 0.1});
    const Law law(run, net);
    for (int i = 0; i < 60; ++i) {
      const BatchOf batch = draw_batch({4, 3, 9, 9}, 5, 100 + i);
      run.step(batch.x, batch.y);
    }
    EXPECT_LT(law.deviation(run, net, std::pow(1 - 0.05 * 0.1, 60)), 1e-13) << kind;
    EXPECT_NEAR(facts_of(run)[0].predicted_factor, std::pow(0.995, 60), 1e-14) << kind;
  }
}

// A twin steps with the finished gradient of its partner, so what is done to that gradient does not
// matter, and neither does a learning rate of the weight's own.
TEST(KolenPollack, LawSurvivesClippingSignsAndRateFactors) {
  OptimizerSettings settings{.kind = "nesterov", .lr = 0.02, .momentum = 0.8, .weight_decay = 0.05};
  settings.lr_of = {"fc3=0.5"};
  std::vector<OptimizerSettings> variants(5, settings);
  variants[1].clip_tensor_norm = 0.1;
  variants[2].clip_value = 0.01;
  variants[3].sign_gradient = true;
  variants[4].clip_norm = 0.1;
  for (const OptimizerSettings& s : variants) {
    Graph net = mlp({6, 9, 8, 4}, "relu", 3, at::kDouble);
    const auto loss = make_loss("cross-entropy");
    TestRun run(net, *loss, make_rule("kp"), s);
    for (int i = 0; i < 100; ++i) {
      run.updater().set_rate_factor(i < 50 ? 1 : 0.3);
      const BatchOf batch = draw_batch({8, 6}, 4, 100 + i);
      run.step(batch.x, batch.y);
    }
    const auto facts = facts_of(run);
    for (const FeedbackFact& fact : facts)
      EXPECT_NEAR(fact.measured_factor, fact.predicted_factor, 1e-13) << fact.name;
    EXPECT_GT(facts[1].predicted_factor, facts[0].predicted_factor + 0.05);  // fc3 at half the rate
  }
}

TEST(KolenPollack, OptimizersWithoutALawArePredictedNothingAndWarnedAbout) {
  for (const std::string kind : {"adam", "rmsprop"}) {
    Graph net = mlp({6, 9, 8, 4}, "relu", 3, at::kDouble);
    const auto loss = make_loss("cross-entropy");
    const OptimizerSettings settings{.kind = kind, .lr = 0.01, .weight_decay = 0.1};
    TestRun run(net, *loss, make_rule("kp"), settings);
    for (int i = 0; i < 100; ++i) {
      const BatchOf batch = draw_batch({8, 6}, 4, 100 + i);
      run.step(batch.x, batch.y);
    }
    for (const FeedbackFact& fact : facts_of(run)) {
      EXPECT_LT(fact.predicted_factor, 0);
      EXPECT_GT(std::abs(fact.measured_factor - std::pow(0.999, 100)), 0.01) << kind;
    }
    ASSERT_EQ(run.rule().warnings(settings).size(), 1u);
    EXPECT_NE(run.rule().warnings(settings)[0].find("under optimizer " + kind), std::string::npos);
  }
}

class KolenPollackForms : public ::testing::TestWithParam<std::string> {};

TEST_P(KolenPollackForms, ImplicitEqualsExplicitThroughSchedulesAndClipping) {
  OptimizerSettings settings{.kind = GetParam(), .lr = 0.05, .momentum = 0.9, .weight_decay = 0.01};
  if (GetParam() == "adamw") settings.lr = 0.002;
  settings.clip_norm = 0.5;
  const auto loss = make_loss("cross-entropy");
  for (const std::string density : {"1", "0.6"}) {
    Graph a = mlp({6, 9, 8, 4}, "relu", 3, at::kDouble),
          b = mlp({6, 9, 8, 4}, "relu", 3, at::kDouble);
    TestRun one(a, *loss, make_rule("kp", {{"kp.form", "explicit"}, {"feedback.density", density}}),
                settings);
    TestRun two(b, *loss, make_rule("kp", {{"kp.form", "implicit"}, {"feedback.density", density}}),
                settings);
    const BatchOf batch = draw_batch({32, 6}, 4);
    for (int i = 0; i < 400; ++i)
      for (TestRun* run : {&one, &two}) {
        run->updater().set_rate_factor(i < 100 ? 1 : i < 250 ? 0.3 : 0.6);
        run->updater().set_weight_decay(i < 150 ? 0.03 : i < 300 ? -1 : 0);
        run->step(batch.x, batch.y);
      }
    EXPECT_GT(distance(a, mlp({6, 9, 8, 4}, "relu", 3, at::kDouble)), 0.5);  // it went somewhere
    EXPECT_LT(distance(b, a), 1e-12) << GetParam();
    const auto fa = facts_of(one), fb = facts_of(two);
    for (size_t i = 0; i < fa.size(); ++i) {
      EXPECT_LT(distance(fb[i].feedback, fa[i].feedback), 1e-12);
      EXPECT_NEAR(fb[i].predicted_factor, fa[i].measured_factor, 1e-12);
      EXPECT_LT(fb[i].measured_factor, 0);  // nothing to measure: it is made from the prediction
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Optimizers, KolenPollackForms,
                         ::testing::Values("sgd", "momentum", "nesterov", "adamw"));

TEST(KolenPollack, ImplicitFormBecomesBackpropOnceTheDifferenceHasGone) {
  Graph net = conv_net();
  const auto loss = make_loss("cross-entropy");
  TestRun run(net, *loss, make_rule("kp", {{"kp.form", "implicit"}}),
              {.kind = "sgd", .lr = 0.1, .weight_decay = 1});
  const BatchOf batch = draw_batch({4, 3, 9, 9}, 5);
  for (int i = 0; i < 160; ++i) run.step(batch.x, batch.y);  // .9^160 < 1e-7
  for (const ParamPtr& param : net.params()) param->value.normal_();
  for (const GradientRow& row : against_backprop(run.rule(), net, *loss, batch))
    EXPECT_EQ(row.s.relative_error, 0) << row.name;
}

TEST(KolenPollack, WorkedExample) {
  Graph net;
  int x = net.add(relu(), {net.add(linear(3), {net.input({{2}})}, "fc1")});
  x = net.add(relu(), {net.add(linear(2), {x}, "fc2")});
  net.output(net.add(linear(2), {x}, "fc3"));
  net.to(at::kCPU, at::kDouble);
  auto matrix = [](const std::vector<double>& v, int64_t columns) {
    return at::tensor(v, at::kDouble).view({-1, columns});
  };
  auto set = [&](size_t i, const Tensor& t) { net.params()[i]->value.copy_(t); };
  set(0, matrix({.5, -.25, .25, .5, -.5, .75}, 2));
  set(1, matrix({.1, -.2, .3}, 3)[0]);
  set(2, matrix({.4, -.2, .1, -.3, .6, .2}, 3));
  set(3, matrix({.05, -.05}, 2)[0]);
  set(4, matrix({.5, -.4, .2, .3}, 2));
  set(5, matrix({0, .1}, 2)[0]);
  const auto loss = make_loss("squared-error");
  TestRun run(net, *loss, make_rule("kp"), {.kind = "sgd", .lr = 0.1, .weight_decay = 0.01});
  const std::vector<ParamPtr> v = run.rule().owned();
  v[0]->value.copy_(matrix({.3, .1, -.2, .2, -.5, .4}, 3));
  v[1]->value.copy_(matrix({.1, .6, -.7, .2}, 2));
  const Tensor input = matrix({1, 2}, 2), target = matrix({1, 0}, 2);
  const std::vector<Tensor> gradients = gradients_of(run, net, *loss, {input, target});
  EXPECT_LT(distance(gradients[0], at::outer(matrix({-.2565, .32386, -.21428}, 3)[0], input[0])),
            1e-12);
  EXPECT_LT(
      distance(gradients[2], matrix({-.03734, -.39207, -.48542, -.07224, -.75852, -.93912}, 3)),
      1e-12);
  run.step(input, target);
  EXPECT_LT(
      distance(v[0]->value, matrix({.303434, .139107, -.151258, .207024, -.423648, .493512}, 3)),
      1e-12);
}

TEST(KolenPollack, MasksAreReappliedAfterEveryUpdate) {
  Graph net = mlp({6, 30, 30, 4}, "relu", 3, at::kDouble);
  const auto loss = make_loss("cross-entropy");
  TestRun run(net, *loss, make_rule("kp", {{"feedback.density", "0.5"}}), kKpMomentum);
  const Tensor empty = facts_of(run)[0].feedback.eq(0);
  EXPECT_NEAR(empty.to(at::kDouble).mean().item<double>(), 0.5, 0.06);
  const BatchOf batch = draw_batch({8, 6}, 4);
  for (int i = 0; i < 50; ++i) run.step(batch.x, batch.y);
  const FeedbackFact fact = facts_of(run)[0];
  EXPECT_TRUE(at::equal(fact.feedback.eq(0), empty));
  EXPECT_NEAR(fact.measured_factor, fact.predicted_factor, 1e-13);
}

TEST(KolenPollack, WeightsSparedByDecayKeepTheirDifference) {
  for (const std::string form : {"explicit", "implicit"}) {
    Graph net = mlp({6, 9, 8, 4}, "relu", 3, at::kDouble);
    net.node(net.find("fc2")).op->weight()->decay = false;
    OptimizerSettings settings = kKpMomentum;
    settings.decay_all = false;
    const auto loss = make_loss("cross-entropy");
    TestRun run(net, *loss, make_rule("kp", {{"kp.form", form}}), settings);
    const Tensor first = facts_of(run)[0].feedback - facts_of(run)[0].weight;
    const BatchOf batch = draw_batch({8, 6}, 4);
    for (int i = 0; i < 50; ++i) run.step(batch.x, batch.y);
    const auto facts = facts_of(run);
    EXPECT_EQ(facts[0].predicted_factor, 1) << form;
    EXPECT_LT(distance(facts[0].feedback - facts[0].weight, first), 1e-13) << form;
    EXPECT_LT(facts[1].predicted_factor, 0.9) << form;
  }
}

TEST(KolenPollack, DecayScheduleNeverFallsBelowTheOptimizersOwnNorToZero) {
  auto rule = make_rule("kp", {{"kp.align-decay", "0.02"}, {"kp.align-epochs", "2"}});
  rule->prepare_for({.weight_decay = 0});
  EXPECT_EQ(rule->weight_decay(1), 0.02);
  EXPECT_EQ(rule->weight_decay(2), 1e-4);
  rule->prepare_for({.weight_decay = 5e-3});
  EXPECT_EQ(rule->weight_decay(0), 0.02);
  EXPECT_LT(rule->weight_decay(2), 0);
  rule->prepare_for({.weight_decay = 0.03});
  EXPECT_LT(rule->weight_decay(0), 0);
}

TEST(KolenPollack, RefusalsAndWarningsSayWhatToDo) {
  EXPECT_EQ(
      refusal([] {
        make_rule("kp", {{"kp.form", "implicit"}})->prepare_for({.kind = "adam"});
      }),
      "kolen-pollack: kp.form=implicit rests on an alignment law that optimizer adam does not "
      "have; use kp.form=explicit, or one of sgd, momentum, nesterov, adamw");
  Graph net = mlp({6, 9, 4}, "relu", 3, at::kDouble);
  const auto loss = make_loss("cross-entropy");
  EXPECT_EQ(refusal([&] {
              make_rule("kp", {{"kp.form", "implicit"}, {"feedback.weight-norm", "true"}})
                  ->bind(net, *loss, 1);
            }),
            "kolen-pollack: feedback.weight-norm changes weights outside of the optimizer, which "
            "kp.form=implicit cannot follow; use kp.form=explicit");
  const auto warned = make_rule("kp", {{"kp.align-epochs", "0"}, {"kp.min-decay", "0"}})
                          ->warnings({.weight_decay = 0});
  ASSERT_EQ(warned.size(), 1u);
  EXPECT_NE(warned[0].find("without weight decay"), std::string::npos);
  EXPECT_TRUE(make_rule("kp")->warnings({.weight_decay = 0}).empty());
}

}  // namespace
}  // namespace altprop::testing
