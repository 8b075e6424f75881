// Product feedback alignment: exactness, the invariant, the three forms, the alignment law.
#include "altprop/rules/feedback/product_map.h"
#include "rules/feedback/lab.h"

namespace altprop::testing {
namespace {

const OptimizerSettings kPfaMomentum{
    .kind = "momentum", .lr = 0.05, .momentum = 0.9, .weight_decay = 0.01};

Graph relu_net() { return mlp({6, 9, 8, 4}, "relu", 3, at::kDouble); }

BatchOf batch_for(const Graph& net, int64_t n, uint64_t seed = 1) {
  std::vector<int64_t> rows{n};
  const std::vector<int64_t>& shape = net.nodes()[0].spec.shape;
  rows.insert(rows.end(), shape.begin(), shape.end());
  return draw_batch(rows, net.node(net.output_node()).spec.shape[0], seed);
}

/// R as large as the parameter that a rule owns for this weight.
ParamPtr r_of(TestRun& run, const std::string& weight) {
  for (const ParamPtr& param : run.rule().owned())
    if (param->name == weight + ".feedback") return param;
  return nullptr;
}

TEST(ProductFeedbackAlignment, AlignedFeedbackGivesBackprop) {
  // B orthogonal or the identity and R = B^T W: set so where there is an R; the implicit form gets
  // there by decay, after which the weights (gone, too) are drawn anew.
  for (const std::string form : {"implicit", "product", "activity"})
    for (const std::string expand : {"ortho", "identity"})
      for (int which = 0; which < 3; ++which) {
        Graph net = which == 0 ? relu_net() : which == 1 ? conv_net() : tied_net();
        const auto loss = make_loss("cross-entropy");
        TestRun run(net, *loss, make_rule("pfa", {{"pfa.form", form}, {"pfa.expand", expand}}),
                    {.kind = "sgd", .lr = 0.5, .weight_decay = 1});
        const BatchOf batch = batch_for(net, 5);
        for (int i = 0; i < 25; ++i) run.step(batch.x, batch.y);  // c = .5^25 < 1e-7
        initialise(net, Initialiser("xavier"), Stream(9));
        for (const ParamPtr& r : run.rule().owned()) r->value.copy_(r->carry(r->twin->value));
        for (const GradientRow& row : against_backprop(run.rule(), net, *loss, batch))
          EXPECT_LT(row.s.relative_error, 1e-12) << form << " " << expand << " " << row.name;
      }
}

TEST(ProductFeedbackAlignment, ResidualDecaysAsTheLawSaysWhateverTheData) {
  for (const std::string form : {"product", "activity"})
    for (int which = 0; which < 3; ++which) {
      Graph net = which == 0 ? relu_net() : which == 1 ? conv_net() : tied_net();
      const auto loss = make_loss("cross-entropy");
      TestRun run(net, *loss, make_rule("pfa", {{"pfa.form", form}, {"pfa.expand", "3"}}),
                  kPfaMomentum);
      for (int i = 0; i < 200; ++i) {
        const BatchOf batch = batch_for(net, 4, 100 + i);
        run.step(batch.x, batch.y);
      }
      const auto facts = facts_of(run);
      EXPECT_EQ(facts.size(), which == 0 ? 2u : which == 1 ? 3u : 2u);
      for (const FeedbackFact& fact : facts) {
        EXPECT_NEAR(fact.predicted_factor, 0.36743742622024617, 1e-14);
        EXPECT_NEAR(fact.measured_factor, 0.36743742622024617, 1e-12) << form << " " << fact.name;
      }
    }
}

TEST(ProductFeedbackAlignment, LawHoldsWithMasksOnBothMatrices) {
  Graph net = mlp({6, 30, 30, 10}, "relu", 3, at::kDouble);
  const auto loss = make_loss("cross-entropy");
  TestRun run(net, *loss, make_rule("pfa", {{"pfa.density", "0.4"}}), kPfaMomentum);
  const ParamPtr r = r_of(run, "fc2.weight");
  ASSERT_TRUE(r);  // auto must not have chosen the implicit form
  const Tensor empty = r->value.eq(0);
  EXPECT_NEAR(empty.to(at::kDouble).mean().item<double>(), 0.6, 0.03);
  for (int i = 0; i < 200; ++i) {
    const BatchOf batch = batch_for(net, 4, 100 + i);
    run.step(batch.x, batch.y);
  }
  EXPECT_TRUE(at::equal(r->value.eq(0), empty));
  for (const FeedbackFact& fact : facts_of(run)) {
    EXPECT_NEAR(fact.predicted_factor, 0.36743742622024617, 1e-14);
    EXPECT_NEAR(fact.measured_factor, 0.36743742622024617, 1e-12) << fact.name;
  }
}

// The configurations of the paper, by the law alone.
TEST(ProductFeedbackAlignment, LawOfThePublishedSchedules) {
  struct Epochs {
    int64_t until;
    double lr, decay;
  };
  auto factor_after = [](int64_t steps, int64_t epochs, auto at) {
    AlignmentLaw law;
    for (int64_t e = 0; e < epochs; ++e)
      for (int64_t i = 0; i < steps; ++i) {
        const auto [lr, decay] = at(e);
        law.advance(
            {.kind = "momentum", .lr = lr, .momentum = 0.9, .weight_decay = decay, .linear = true});
      }
    return law.factor();
  };
  auto mnist = [](int64_t e) {
    return std::pair{0.01 * (e >= 30 ? 0.25 : e >= 20 ? 0.5 : 1), e == 0 ? 0.03 : 9e-5};
  };
  auto cifar = [](int64_t e) {
    return std::pair{0.1 * (e >= 200   ? 1e-3
                            : e >= 150 ? 1e-2
                            : e >= 100 ? 0.1
                                       : 1),
                     e == 0 ? 5e-3 : 1e-4};
  };
  EXPECT_NEAR(factor_after(937, 1, mnist), 0.05688, 5e-6);
  EXPECT_NEAR(factor_after(937, 40, mnist), 0.04422, 5e-6);
  EXPECT_NEAR(factor_after(351, 1, cifar), 0.16597, 5e-6);
  EXPECT_NEAR(factor_after(351, 100, cifar), 0.004883, 5e-7);
  EXPECT_NEAR(factor_after(351, 250, cifar), 0.004019, 5e-7);
}

TEST(ProductFeedbackAlignment, GradientOfRIsTheProjectedGradientOfW) {
  // Plain descent at rate 1 without decay: the step of R is minus its gradient.
  for (const std::string form : {"product", "activity"})
    for (int which = 0; which < 3; ++which) {
      Graph net = which == 0 ? relu_net() : which == 1 ? conv_net() : tied_net();
      const auto loss = make_loss("cross-entropy");
      TestRun run(
          net, *loss,
          make_rule("pfa", {{"pfa.form", form}, {"pfa.expand", "3"}, {"pfa.min-decay", "0"}}),
          {.kind = "sgd", .lr = 1});
      const BatchOf batch = batch_for(net, 5);
      std::vector<Tensor> r0, b_w0;
      for (const ParamPtr& r : run.rule().owned()) {
        r0.push_back(r->value.clone());
        b_w0.push_back(r->carry(r->twin->value).clone());
      }
      run.step(batch.x, batch.y);
      for (size_t i = 0; i < r0.size(); ++i) {
        const ParamPtr r = run.rule().owned()[i];
        EXPECT_LT(distance(r->value - r0[i], r->carry(r->twin->value) - b_w0[i]), 1e-13)
            << form << " " << r->name;
      }
    }
}

class ProductForms : public ::testing::TestWithParam<std::string> {};

TEST_P(ProductForms, AllFormsAgreeThroughSchedulesAndClipping) {
  OptimizerSettings settings = kPfaMomentum;
  settings.kind = GetParam();
  settings.clip_norm = 0.5;
  const auto loss = make_loss("cross-entropy");
  for (const std::string expand : {"1", "4", "ortho", "identity"})
    for (int which = 0; which < 3; ++which) {
      // Two dense cases: a batch smaller than the layers, where the implicit form mixes the credit,
      // and a larger one, where it makes M.
      const int64_t n = which == 0 ? 4 : which == 1 ? 64 : 5;
      const int steps = which == 2 ? 60 : 400;
      std::vector<Graph> nets;
      for (int i = 0; i < 4; ++i) nets.push_back(which == 2 ? conv_net() : relu_net());
      std::vector<std::unique_ptr<TestRun>> runs;
      const std::vector<std::string> forms{"product", "activity", "implicit", "auto"};
      for (size_t i = 0; i < 4; ++i)
        runs.push_back(std::make_unique<TestRun>(
            nets[i], *loss, make_rule("pfa", {{"pfa.form", forms[i]}, {"pfa.expand", expand}}),
            settings));
      EXPECT_TRUE(runs[2]->rule().owned().empty());
      EXPECT_TRUE(runs[3]->rule().owned().empty());
      const BatchOf batch = batch_for(nets[0], n);
      for (int i = 0; i < steps; ++i)
        for (auto& run : runs) {
          run->updater().set_rate_factor(i < steps / 4 ? 1 : i < steps / 2 ? 0.3 : 0.6);
          run->updater().set_weight_decay(i < steps / 3 ? 0.03 : -1);
          run->step(batch.x, batch.y);
        }
      for (size_t i = 1; i < 4; ++i) {
        EXPECT_LT(distance(nets[i], nets[0]), 1e-12) << forms[i] << " " << expand << " " << which;
        const auto reference = facts_of(*runs[0]), facts = facts_of(*runs[i]);
        for (size_t k = 0; k < facts.size(); ++k) {
          EXPECT_LT(distance(facts[k].feedback, reference[k].feedback), 1e-12)
              << forms[i] << " " << expand;
          EXPECT_NEAR(facts[k].predicted_factor, reference[k].measured_factor, 1e-12);
        }
      }
    }
}
INSTANTIATE_TEST_SUITE_P(Optimizers, ProductForms,
                         ::testing::Values("sgd", "momentum", "nesterov"));

TEST(ProductFeedbackAlignment, FormsAgreeInFloat32ForAFewSteps) {
  const auto loss = make_loss("cross-entropy");
  std::vector<Graph> nets;
  for (int i = 0; i < 3; ++i) nets.push_back(mlp({20, 64, 48, 10}, "relu", 3));
  const std::vector<std::string> forms{"implicit", "product", "activity"};
  for (size_t i = 0; i < 3; ++i) {
    TestRun run(nets[i], *loss, make_rule("pfa", {{"pfa.form", forms[i]}}), kPfaMomentum);
    const BatchOf batch = draw_batch({16, 20}, 10, 1, at::kFloat);
    for (int k = 0; k < 5; ++k) run.step(batch.x, batch.y);
  }
  EXPECT_LT(distance(nets[1], nets[0]), 1e-5);
  EXPECT_LT(distance(nets[2], nets[0]), 1e-5);
}

TEST(ProductFeedbackAlignment, FromWAlignsUnderAdam) {
  Graph net = relu_net();
  const auto loss = make_loss("cross-entropy");
  const OptimizerSettings adam{.kind = "adam", .lr = 0.01, .weight_decay = 0.5};
  TestRun run(net, *loss, make_rule("pfa", {{"pfa.r-update", "from-w"}, {"pfa.expand", "ortho"}}),
              adam);
  EXPECT_TRUE(run.rule().warnings(adam).empty());
  const Tensor w0 = facts_of(run)[0].weight.clone();
  const Tensor q = facts_of(run)[0].feedback - w0;  // B (R0 - B^T W0), B B^T = I
  const BatchOf batch = batch_for(net, 8);
  for (int i = 0; i < 200; ++i) run.step(batch.x, batch.y);
  const FeedbackFact fact = facts_of(run)[0];
  EXPECT_GT(distance(fact.weight, w0), 0.2);
  EXPECT_NEAR(fact.predicted_factor, std::pow(1 - 0.005, 200), 1e-13);
  EXPECT_LT(distance(fact.feedback - fact.weight, q * std::pow(1 - 0.005, 200)), 1e-12);
}

TEST(ProductFeedbackAlignment, AdaptiveOptimizersDoNotAlignAndAreWarnedAbout) {
  for (const std::string kind : {"adam", "adamw"}) {
    Graph net = relu_net();
    const auto loss = make_loss("cross-entropy");
    const OptimizerSettings settings{.kind = kind, .lr = 0.01, .weight_decay = 0.01};
    TestRun run(net, *loss, make_rule("pfa"), settings);
    for (int i = 0; i < 200; ++i) {
      const BatchOf batch = batch_for(net, 8, 100 + i);
      run.step(batch.x, batch.y);
    }
    for (const FeedbackFact& fact : facts_of(run)) {
      EXPECT_LT(fact.predicted_factor, 0);
      EXPECT_GT(std::abs(fact.measured_factor - std::pow(1 - 1e-4, 200)), 0.05)
          << kind << " " << fact.name;
      if (kind == "adamw") {
        EXPECT_GT(fact.measured_factor, 1.05) << fact.name;  // it even grows
      }
    }
    ASSERT_EQ(run.rule().warnings(settings).size(), 1u);
    EXPECT_NE(run.rule().warnings(settings)[0].find("not under " + kind), std::string::npos);
  }
}

TEST(ProductFeedbackAlignment, PerTensorClippingBreaksTheLawOnlyWhereRHasAGradientOfItsOwn) {
  OptimizerSettings settings = kPfaMomentum;
  settings.clip_tensor_norm = 0.05;
  for (const std::string form : {"auto", "product", "activity"}) {
    Graph net = relu_net();
    const auto loss = make_loss("cross-entropy");
    TestRun run(net, *loss, make_rule("pfa", {{"pfa.form", form}}), settings);
    for (int i = 0; i < 100; ++i) {
      const BatchOf batch = batch_for(net, 8, 100 + i);
      run.step(batch.x, batch.y);
    }
    for (const FeedbackFact& fact : facts_of(run)) {
      if (form == "activity") {
        EXPECT_LT(fact.predicted_factor, 0);
      } else if (form == "product") {
        EXPECT_NEAR(fact.measured_factor, fact.predicted_factor, 1e-12);
      } else {
        EXPECT_GT(fact.predicted_factor, 0);
      }
    }
    EXPECT_EQ(run.rule().warnings(settings).size(), form == "activity" ? 1u : 0u);
  }
}

TEST(ProductFeedbackAlignment, CreditTurnsByTheSameFactorAtEveryLayer) {
  // Aligned, in a deep linear orthogonal net: cosine (1 + 1/k)^(-m/2) after m operations.
  for (const auto& [k, expected] :
       {std::pair{"10", std::vector<double>{.953, .909, .866, .823, .782, .748}},
        std::pair{"2", std::vector<double>{.817, .669, .547, .445}}}) {
    const int depth = static_cast<int>(expected.size());
    Graph net;
    int x = net.input({{300}});
    for (int i = 0; i <= depth; ++i) x = net.add(linear(300, false), {x}, "fc" + std::to_string(i));
    net.output(x);
    net.to(at::kCPU, at::kDouble);
    initialise(net, Initialiser("orthogonal"), Stream(1));
    const auto loss = make_loss("squared-error");
    TestRun run(net, *loss, make_rule("pfa", {{"pfa.expand", k}, {"pfa.form", "product"}}),
                {.kind = "sgd", .lr = 0.1});
    for (const ParamPtr& r : run.rule().owned()) r->value.copy_(r->carry(r->twin->value));
    const BatchOf batch{Stream(2).normal({64, 300}, at::kDouble),
                        Stream(3).normal({64, 300}, at::kDouble)};
    const auto rows = against_backprop(run.rule(), net, *loss, batch);
    EXPECT_LT(rows.back().s.relative_error, 1e-14);  // the output operation is exact
    const double growth = std::sqrt(1 + 1 / std::stod(k));
    for (int m = 1; m <= depth; ++m) {
      const Similarity& s = rows[static_cast<size_t>(depth - m)].s;
      EXPECT_NEAR(s.cosine, expected[static_cast<size_t>(m - 1)], 0.03) << k << " " << m;
      EXPECT_NEAR(s.magnitude_ratio / std::pow(growth, m), 1, 0.06) << k << " " << m;
    }
  }
}

TEST(ProductFeedbackAlignment, WorkedExample) {
  auto matrix = [](const std::vector<double>& v, int64_t columns) {
    return at::tensor(v, at::kDouble).view({-1, columns});
  };
  const ProductMap map({true, 2, 1}, matrix({.5, -.5, .5, .5, .5, .5, -.5, .5}, 4).unsqueeze(0));
  auto w = std::make_shared<Param>("w", matrix({.5, -.25, .25, .5}, 2));
  auto r = std::make_shared<Param>("r", matrix({.2, 0, -.1, .3, .4, -.2, 0, .1}, 2));
  r->twin = w.get();
  r->carry = [&](const Tensor& dw) { return map.expand(dw); };
  const Linear op(w, nullptr);
  const Tensor h = matrix({.5, -1}, 2), delta = matrix({.1, -.2}, 2);
  Saved saved;
  op.forward({&h, 1}, saved, {});
  EXPECT_LT(distance(map.spread(delta), matrix({-.05, -.15, .15, -.05}, 4)), 1e-14);
  EXPECT_LT(distance(op.vjp(saved, map.spread(delta), 0, &r->value), matrix({.065, -.08}, 2)),
            1e-14);
  const Tensor product = map.contract(r->value);
  EXPECT_LT(distance(product, matrix({.35, -.2, -.15, .3}, 2)), 1e-14);
  EXPECT_LT(distance(op.vjp(saved, delta, 0, &product), matrix({.065, -.08}, 2)), 1e-14);
  const Tensor residual = r->value - map.expand(w->value);
  EXPECT_LT(distance(residual, matrix({-.175, -.125, .025, -.075, .275, .175, -.375, -.025}, 2)),
            1e-14);

  OwnUpdater updater({.kind = "sgd", .lr = 0.1, .weight_decay = 0.02});
  updater.bind({w, r});
  updater.take(LocalSignal{.op = &op, .site = nullptr, .saved = &saved, .cot = delta});
  EXPECT_LT(distance(map.expand(updater.slot(*w)->into),
                     matrix({-.025, .05, -.075, .15, .075, -.15, -.025, .05}, 2)),
            1e-14);
  updater.apply();
  EXPECT_LT(distance(w->value, matrix({.494, -.2395, .2595, .479}, 2)), 1e-14);
  EXPECT_LT(
      distance(r->value, matrix({.2021, -.005, -.0923, .2844, .3917, -.1846, .0025, .0948}, 2)),
      1e-14);
  EXPECT_LT(distance(r->value - map.expand(w->value), residual * .998), 1e-13);
}

TEST(ProductFeedbackAlignment, RefusalsSayWhatToDo) {
  Graph net = relu_net();
  const auto loss = make_loss("cross-entropy");
  auto bound = [&](const OptionValues& options, const OptimizerSettings& settings = {}) {
    return refusal([&] {
      auto rule = make_rule("pfa", options);
      rule->prepare_for(settings);
      rule->bind(net, *loss, 1);
    });
  };
  EXPECT_EQ(
      bound({{"pfa.form", "implicit"}}, {.kind = "adam"}),
      "product-feedback-alignment: pfa.form=implicit rests on an alignment law that optimizer "
      "adam does not have; use pfa.form=auto, pfa.r-update=from-w, or one of sgd, momentum, "
      "nesterov");
  EXPECT_EQ(
      bound({{"pfa.form", "implicit"}, {"pfa.density", "0.5"}}),
      "product-feedback-alignment: the implicit form has no R that a mask could apply to; use "
      "pfa.density=1, or pfa.form=auto with pfa.r-update=gradient");
  EXPECT_NE(bound({{"pfa.form", "product"}, {"pfa.r-update", "from-w"}}).find("use pfa.form=auto"),
            std::string::npos);
  EXPECT_NE(bound({{"pfa.form", "implicit"}, {"feedback.weight-norm", "true"}})
                .find("use pfa.form=product"),
            std::string::npos);
  const std::string empty = bound({{"pfa.expand", "1"}, {"pfa.density", "0.05"}});
  EXPECT_EQ(empty.find("node 'fc2': output unit "), 0u) << empty;
  EXPECT_NE(
      empty.find(
          "would get no feedback: at pfa.density=0.05 its row of B is empty; raise pfa.density"),
      std::string::npos)
      << empty;
  EXPECT_NE(refusal([] {
              make_rule("pfa", {{"pfa.expand", "2.5"}});
            }).find("a whole number of at least 1"),
            std::string::npos);
  Graph up;
  const int x = up.add(conv2d({.out = 4, .padding = 1}), {up.input({{4, 6, 6}})}, "down");
  up.output(up.add(conv_transpose2d({.out = 4}), {x}, "up"));
  EXPECT_EQ(
      refusal([&] { make_rule("pfa")->admit(up, *loss); }),
      "node 'up': its weight has no leading output-channel axis that a feedback population could "
      "expand; list it in pfa.skip to give it exact credit");
  EXPECT_EQ(refusal([&] { make_rule("pfa", {{"pfa.skip", "up"}})->admit(up, *loss); }), "");
}

TEST(ProductFeedbackAlignment, WarnsOfMissingDecay) {
  const auto warned = make_rule("pfa", {{"pfa.align-epochs", "0"}, {"pfa.min-decay", "0"}})
                          ->warnings({.weight_decay = 0});
  ASSERT_EQ(warned.size(), 1u);
  EXPECT_NE(warned[0].find("never aligns"), std::string::npos);
  EXPECT_TRUE(make_rule("pfa")->warnings({.weight_decay = 0}).empty());
}

}  // namespace
}  // namespace altprop::testing
