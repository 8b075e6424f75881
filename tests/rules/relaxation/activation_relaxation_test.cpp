// Activation relaxation: equal to backprop where theory says so, the published simplifications
// where it does not.
#include "altprop/network/architecture.h"
#include "rules/relaxation/fixture.h"

namespace altprop::testing {
namespace {

Graph lenet() {
  Graph net =
      network("chain: conv 3 k=3, tanh, maxpool 2, conv 4 k=3, tanh, linear 6, tanh, linear *",
              {.input_shape = {2, 10, 10}, .classes = 4});
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  return net;
}

TEST(ActivationRelaxation, OneUnitSweepIsBackprop) {
  const auto loss = make_loss("cross-entropy");
  const std::vector<std::tuple<Graph, std::vector<int64_t>, int64_t>> nets = {
      {mlp({6, 8, 7, 5, 4}, "relu", 1, at::kDouble), {5, 6}, 4},
      {lenet(), {3, 2, 10, 10}, 4},
      {conv_net(), {3, 3, 9, 9}, 5},
      {tied_net(), {5, 4}, 3}};
  for (const auto& [made, shape, classes] : nets) {
    Graph net = made;
    const BatchOf b = draw_batch(shape, classes);
    for (const std::string engine : {"loop", "fast-forward"})
      for (const std::string granularity : {"block", "op"}) {
        const auto rule = bound(kAr,
                                {{"ar.eta", "1"},
                                 {"ar.steps", "1"},
                                 {"ar.engine", engine},
                                 {"ar.init", "activation"},
                                 {"ar.granularity", granularity}},
                                net, *loss);
        EXPECT_LT(distance_from_backprop(*rule, net, *loss, b.x, b.y), 1e-12);
      }
  }
}

TEST(ActivationRelaxation, GradientsOfTheWorkedExample) {
  const auto loss = make_loss("squared-error");
  Graph net = fixture_net();
  const auto rule = bound(kAr, {{"ar.eta", "1"}, {"ar.steps", "1"}}, net, *loss);
  const auto g = gradients(*rule, net, *loss, fixture_inputs(), fixture_targets());
  EXPECT_NEAR(2 * g.at("fc1.weight").norm().item<double>(), 1.1695266990769, 1e-12);
  EXPECT_NEAR(2 * g.at("fc2.weight").norm().item<double>(), 0.5459760149091, 1e-12);
  EXPECT_NEAR(2 * g.at("fc3.weight").norm().item<double>(), 0.4255566224023, 1e-12);
  EXPECT_LT(distance(2 * g.at("fc1.weight")[0], matrix({{0.02270275, 0.18635720, 0.17867570}})[0]),
            1e-7);
}

TEST(ActivationRelaxation, CreditGrowsWithTheSource) {
  // From zero the states are linear in the loss gradient; from the activations they are not.
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  for (const auto& [start, linear] : {std::pair{"zero", true}, {"activation", false}}) {
    const auto rule = bound(kAr, {{"ar.steps", "20"}, {"ar.init", start}}, net, *loss);
    const Tensor x = fixture_inputs(), y = net.predict(x);
    const Tensor off = at::ones_like(y);
    const auto one = gradients(*rule, net, *loss, x, y + off),
               two = gradients(*rule, net, *loss, x, y + 2 * off);
    EXPECT_EQ(distance(two.at("fc1.weight"), 2 * one.at("fc1.weight")) < 1e-12, linear);
  }
}

TEST(ActivationRelaxation, WithoutDerivativesCreditCrossesALinearNetwork) {
  const auto loss = make_loss("squared-error");
  Graph net = fixture_net();
  const OptionValues values = {
      {"ar.derivative-in-relaxation", "false"}, {"ar.eta", "1"}, {"ar.steps", "1"}};
  const auto rule = bound(kAr, values, net, *loss);
  const auto own = gradients(*rule, net, *loss, fixture_inputs(), fixture_targets()),
             exact = gradients(*rule, net, *loss, fixture_inputs(), fixture_targets(), 0, true);
  EXPECT_NEAR(cosine(own.at("fc1.weight"), exact.at("fc1.weight")), 0.99979420, 1e-8);
  Graph straight = fixture_net(true);
  const auto same = bound(kAr, values, straight, *loss);
  EXPECT_LT(distance_from_backprop(*same, straight, *loss, fixture_inputs(), fixture_targets()),
            1e-13);
}

TEST(ActivationRelaxation, WithoutDerivativesInPlasticityOnlyBiasesHaveThem) {
  const auto loss = make_loss("squared-error");
  Graph net = fixture_net();
  const auto rule =
      bound(kAr, {{"ar.derivative-in-plasticity", "false"}, {"ar.eta", "1"}, {"ar.steps", "1"}},
            net, *loss);
  const Tensor x = fixture_inputs(), y = fixture_targets();
  const auto own = gradients(*rule, net, *loss, x, y),
             exact = gradients(*rule, net, *loss, x, y, 0, true);
  for (const std::string layer : {"fc1", "fc2", "fc3"})
    EXPECT_LT(distance(own.at(layer + ".bias"), exact.at(layer + ".bias")), 1e-13) << layer;
  EXPECT_LT(distance(own.at("fc3.weight"), exact.at("fc3.weight")), 1e-13);
  const Tensor g1 = matrix({{0.18666686, 0.19689214, -0.35053895, 0.09485921},
                            {0.04767459, 0.45837657, -0.42917851, -0.10117401}});
  EXPECT_LT(distance(2 * own.at("fc1.weight"), g1.t().mm(x)), 1e-7);
}

TEST(ActivationRelaxation, CurrentQuantitiesComeFromTheRelaxingStates) {
  // One Gauss-Seidel sweep with eta 1 from zero: by hand, layer by layer.
  const auto loss = make_loss("squared-error");
  Graph net = fixture_net();
  const Tensor x = fixture_inputs(), y = fixture_targets();
  const auto w = [&](size_t l) { return net.params()[2 * l]->value; };
  const auto b = [&](size_t l) { return net.params()[2 * l + 1]->value; };
  const auto slope = [](const Tensor& z) { return 1 - z.tanh().square(); };
  const Tensor a1 = at::linear(x, w(0), b(0)).tanh(), a2 = at::linear(a1, w(1), b(1)).tanh(),
               e = at::linear(a2, w(2), b(2)) - y, x2 = e.mm(w(2));
  // The state of layer 1 is still zero when layer 2 sends to it.
  const Tensor current = slope(at::linear(at::zeros_like(a1), w(1), b(1))), child = slope(x2);
  const OptionValues one = {{"ar.eta", "1"}, {"ar.steps", "1"}};
  for (const auto& [name, d] : {std::pair{"current", current}, {"child", child}}) {
    OptionValues values = one;
    values["ar.derivative-x"] = name;
    const auto g = gradients(*bound(kAr, values, net, *loss), net, *loss, x, y);
    const Tensor x1 = (x2 * d).mm(w(1));
    EXPECT_LT(distance(2 * g.at("fc1.weight"), (x1 * (1 - a1.square())).t().mm(x)), 1e-12) << name;
    EXPECT_LT(distance(2 * g.at("fc2.weight"), (x2 * (1 - a2.square())).t().mm(a1)), 1e-12);
  }
  const Tensor x1 = (x2 * (1 - a2.square())).mm(w(1));
  for (const auto& [name, d1, d2] :
       {std::tuple{"current", slope(at::linear(x, w(0), b(0))), slope(at::linear(x1, w(1), b(1)))},
        {"child", slope(x1), slope(x2)}}) {
    OptionValues values = one;
    values["ar.derivative-w"] = name;
    const auto g = gradients(*bound(kAr, values, net, *loss), net, *loss, x, y);
    EXPECT_LT(distance(2 * g.at("fc1.weight"), (x1 * d1).t().mm(x)), 1e-12) << name;
    EXPECT_LT(distance(2 * g.at("fc2.weight"), (x2 * d2).t().mm(a1)), 1e-12) << name;
  }
  OptionValues values = one;
  values["ar.plasticity-pre"] = "current";
  const auto g = gradients(*bound(kAr, values, net, *loss), net, *loss, x, y);
  EXPECT_LT(distance(2 * g.at("fc1.weight"), (x1 * (1 - a1.square())).t().mm(x)), 1e-12)
      << "the input is clamped";
  EXPECT_LT(distance(2 * g.at("fc2.weight"), (x2 * (1 - a2.square())).t().mm(x1)), 1e-12);
  EXPECT_LT(distance(2 * g.at("fc3.weight"), e.t().mm(x2)), 1e-12);
}

TEST(ActivationRelaxation, SchedulesAgreeAtTheFixedPoint) {
  const auto loss = make_loss("cross-entropy");
  Graph net = conv_net();
  const BatchOf b = draw_batch({3, 3, 9, 9}, 5);
  for (const std::string schedule : {"gauss-seidel", "synchronous", "red-black"}) {
    const auto rule = bound(kAr,
                            {{"ar.schedule", schedule},
                             {"ar.eta", "0.5"},
                             {"ar.steps", "500"},
                             {"ar.tolerance", "1e-12"}},
                            net, *loss);
    EXPECT_LT(distance_from_backprop(*rule, net, *loss, b.x, b.y), 1e-9) << schedule;
  }
}

TEST(ActivationRelaxation, LearntFeedbackKeepsItsDifferenceUnderAnyOptimizer) {
  for (const std::string kind : {"sgd", "momentum", "adam"}) {
    Graph net = mlp({6, 8, 7, 4}, "tanh", 1, at::kDouble);
    const auto loss = make_loss("cross-entropy");
    TestRun run(net, *loss, make_rule(kAr, {{"ar.feedback", "learned"}}),
                {.kind = kind, .lr = 0.01});
    const auto differences = [&] {
      std::vector<Tensor> out;
      const auto owned = run.rule().owned();
      for (const ParamPtr& psi : owned) out.push_back(psi->value - psi->twin->value);
      return out;
    };
    const std::vector<Tensor> first = differences();
    ASSERT_EQ(first.size(), 2u) << "the first layer needs no backward weight";
    const Tensor before = net.params()[2]->value.clone();
    for (int i = 0; i < 30; ++i) {
      const BatchOf b = draw_batch({5, 6}, 4, static_cast<uint64_t>(i));
      run.step(b.x, b.y);
    }
    EXPECT_GT(distance(net.params()[2]->value, before), 1e-3);
    const std::vector<Tensor> last = differences();
    for (size_t i = 0; i < first.size(); ++i) EXPECT_LT(distance(last[i], first[i]), 1e-13) << kind;
  }
}

TEST(ActivationRelaxation, FixedFeedbackIsFeedbackAlignmentAtTheFixedPoint) {
  const auto loss = make_loss("cross-entropy");
  for (const auto& [made, shape, classes] : {std::tuple{mlp({6, 8, 7, 4}, "tanh", 1, at::kDouble),
                                                        std::vector<int64_t>{5, 6}, int64_t{4}},
                                             {conv_net(), {3, 3, 9, 9}, 5}}) {
    Graph net = made;
    const BatchOf b = draw_batch(shape, classes);
    const auto rule =
        bound(kAr, {{"ar.feedback", "fixed"}, {"ar.eta", "1"}, {"ar.steps", "1"}}, net, *loss);
    const auto fa = bound("feedback-alignment", {}, net, *loss);
    const auto own = gradients(*rule, net, *loss, b.x, b.y),
               other = gradients(*fa, net, *loss, b.x, b.y);
    for (const auto& [name, g] : other) EXPECT_LT(distance(own.at(name), g), 1e-12) << name;
  }
}

TEST(ActivationRelaxation, ManyStepsOfUnitSweepsTrainAsBackprop) {
  const auto loss = make_loss("cross-entropy");
  Graph a = mlp({6, 8, 7, 4}, "relu", 1, at::kDouble),
        b = mlp({6, 8, 7, 4}, "relu", 1, at::kDouble);
  TestRun relaxed(a, *loss,
                  make_rule(kAr, {{"ar.eta", "1"}, {"ar.steps", "1"}, {"ar.engine", "loop"}}),
                  {.kind = "sgd", .lr = 0.05});
  TestRun exact(b, *loss, make_rule("backprop"), {.kind = "sgd", .lr = 0.05});
  for (int i = 0; i < 200; ++i) {
    const BatchOf batch = draw_batch({8, 6}, 4, static_cast<uint64_t>(i));
    relaxed.step(batch.x, batch.y);
    exact.step(batch.x, batch.y);
  }
  EXPECT_LT(distance(a, b), 1e-10);
}

TEST(ActivationRelaxation, SaysWhatDoesNotFit) {
  const auto loss = make_loss("cross-entropy");
  Graph net = mlp({6, 8, 4}, "relu", 1, at::kDouble);
  EXPECT_NE(refusal([&] {
              bound(kAr, {{"ar.eta", "2.5"}}, net, *loss);
            }).find("ar.eta"),
            std::string::npos);
  EXPECT_NE(refusal([&] {
              bound(kAr, {{"ar.engine", "fast-forward"}, {"ar.tolerance", "0.1"}}, net, *loss);
            }).find("ar.engine=loop"),
            std::string::npos);
  Graph pooled = lenet();
  EXPECT_NE(refusal([&] {
              bound(kAr, {{"ar.derivative-w", "child"}}, pooled, *loss);
            }).find("ar.granularity=op"),
            std::string::npos);
  Graph deep = mlp({6, 8, 8, 8, 8, 4}, "relu", 1, at::kDouble);
  const auto rule = bound(kAr, {{"ar.schedule", "synchronous"}, {"ar.steps", "2"}}, deep, *loss);
  const auto warnings = rule->warnings({});
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("with ar.steps=2 fc1 receives 0 % of backprop"), std::string::npos)
      << warnings[0];
}

}  // namespace
}  // namespace altprop::testing
