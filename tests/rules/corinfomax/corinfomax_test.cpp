// CorInfoMax as a rule: its updates, the limit in which it is equilibrium propagation, and numbers
// computed elsewhere. Oracles by the algebra of Bozkurt, Pehlevan, Erdogan 2023, arXiv 2306.04810.
#include "altprop/probes/settling.h"
#include "rules/corinfomax/fixture.h"

namespace altprop::testing {
namespace {

/// The rule on the worked example: its matrices, a strength of .01 and settled phases.
struct Example {
  Graph net;
  std::unique_ptr<Loss> loss = make_loss("squared-error");
  std::unique_ptr<Learner> rule;

  explicit Example(OptionValues options, const std::vector<Tensor>& weights = example_weights())
      : net(dense_net(weights, "hard-sigmoid")) {
    for (const char* phase : {"cim.free-steps", "cim.nudged-steps"})
      options.insert({phase, "4000"});
    options.insert({"cim.gamma", "0.01"});
    options.insert({"cim.sign", "positive"});
    rule = make_rule("corinfomax", options);
    rule->bind(net, *loss, 1);
    const DynamicsWeights w = example_matrices();
    for (const ParamPtr& backward : rule->owned()) backward->value.copy_(w.backward[1]);
    TensorMap map;
    rule->state(StateIO::saving(map));
    if (map.count("lateral1")) {
      map["lateral1"] = w.lateral[0];
      map["lateral2"] = w.lateral[1];
      rule->state(StateIO::loading(map));
    }
  }

  /// NamedGradients by name, of the rule's own parameters too.
  std::map<std::string, Tensor> gradients(bool reference = false) {
    at::NoGradGuard no_grad;
    const std::vector<ParamPtr> own = reference ? std::vector<ParamPtr>() : rule->owned();
    return testing::gradients(*rule, net, *loss, example_inputs(), example_targets(), 0, reference,
                              own);
  }
};

Tensor all_of(const std::map<std::string, Tensor>& gradients) {
  std::vector<Tensor> flat;
  for (const auto& [name, gradient] : gradients) flat.push_back(gradient.flatten());
  return at::cat(flat);
}

TEST(CorInfoMax, WorkedExampleUpdates) {
  const auto g = Example(OptionValues{}).gradients();
  const Tensor forward =
      rows({{0.009034919876494822, 0.0006224914571992674, -0.0001373265194166899, 0},
            {0.0035319559630887076, 0.002003234126189111, 0.000515787196576644, 0}});
  const Tensor backward = rows({{0.005817427641102962, 0.0016832570016063297},
                                {-0.0026003697848378414, 0.0015468618659230725},
                                {-0.00216144607156047, 0.000682953424312806},
                                {-8.077410472091027e-05, 9.191690979108319e-05}});
  EXPECT_LT(largest(g.at("fc2.weight") + forward), 1e-14);
  EXPECT_LT(largest(g.at("fc2.weight.feedback") + backward), 1e-14);
}

TEST(CorInfoMax, FirstLayerIsThePureHebbianContrast) {
  const Example example(OptionValues{});
  const DynamicsWeights w = example_matrices();
  SettledRates settled(w, {}, boxes(), example_inputs(), 4000);
  const Tensor x = example_inputs(), free = settled.state.layer[0].clone();
  settled.nudge(1, example_targets(), 4000);
  const Tensor nudged = settled.state.layer[0];
  const Tensor predicted = at::mm(x, w.forward[0].t());
  const Tensor by_errors = at::mm((nudged - predicted).t(), x) - at::mm((free - predicted).t(), x);
  const Tensor hebbian = at::mm(nudged.t(), x) - at::mm(free.t(), x);
  const Tensor found = Example(OptionValues{}).gradients().at("fc1.weight");
  EXPECT_LT(largest(found + by_errors / 2), 1e-15);
  EXPECT_LT(largest(found + hebbian / 2), 1e-15);
  EXPECT_GT(largest(found), 1e-3);
}

OptionValues limit(const char* hebbian_error, const char* beta) {
  return {{"cim.hebbian-error", hebbian_error},
          {"cim.feedback", "transpose"},
          {"cim.lateral", "off"},
          {"cim.phases", "three"},
          {"cim.beta", beta},
          {"cim.free-steps", "6000"},
          {"cim.nudged-steps", "6000"}};
}

std::vector<Tensor> positive_weights() {
  std::vector<Tensor> out = example_weights();
  for (Tensor& w : out) w.abs_().mul_(0.6);
  return out;
}

TEST(CorInfoMax, WithTiedWeightsAndActivitiesItIsEquilibriumPropagation) {
  const Tensor exact = all_of(Example(limit("activity", "1"), positive_weights()).gradients(true));
  for (const auto& [beta, wanted] :
       {std::pair{"0.1", 1.66e-4}, {"0.01", 1.66e-6}, {"0.001", 1.66e-8}}) {
    const Tensor found = all_of(Example(limit("activity", beta), positive_weights()).gradients());
    EXPECT_NEAR(distance(found, exact) / wanted, 1, 0.01) << "beta " << beta;
  }
}

TEST(CorInfoMax, ErrorsInPlaceOfActivitiesTurnTheGradient) {
  Example example(limit("error", "0.001"), positive_weights());
  const auto found = example.gradients(), exact = example.gradients(true);
  EXPECT_NEAR(cosine(all_of(found), all_of(exact)), 0.98800, 1e-5);
  EXPECT_NEAR(cosine(found.at("fc1.weight"), exact.at("fc1.weight")), 1, 1e-9);
  EXPECT_NEAR(cosine(found.at("fc2.weight"), exact.at("fc2.weight")), 0.99625, 1e-5);
}

TEST(CorInfoMax, SaysHowItsNudgeSpreads) {
  at::NoGradGuard no_grad;
  OptionValues options = limit("activity", "0.001");
  options["cim.nudged-steps"] = "400";
  Example example(options, positive_weights());
  const auto watched = watch_settling(
      *example.rule, Step::look_at({.inputs = example_inputs()}, example_targets()));
  ASSERT_TRUE(watched && watched->states.size() == 2);
  EXPECT_EQ(watched->steps.back(), 400);
  for (size_t k = 0; k < 2; ++k) {
    const Settling::State& state = watched->states[k];
    EXPECT_EQ(state.layer, k ? "fc2" : "fc1");
    EXPECT_EQ(state.hops, k ? 1 : 2);
    EXPECT_LT(state.scale.front(), 0.5);
    EXPECT_NEAR(state.scale.back(), 1, 2e-3);
    EXPECT_NEAR(state.cosine.back(), 1, 1e-5);
  }
  EXPECT_LT(watched->states[0].scale[1], watched->states[1].scale[1]);
}

/// The reference is a derivative: of epsilon times the loss at the free fixed point.
TEST(CorInfoMax, TheReferenceIsTheGradientOfTheTiedNetwork) {
  for (const auto& weights : {positive_weights(), example_weights()}) {
    Example example(limit("activity", "1"), weights);
    const auto exact = example.gradients(true);
    auto loss = [&] {
      const Tensor out = example.rule->predict({.inputs = example_inputs()});
      return 0.15 * example.loss->value(out, example_targets()).mean().item<double>();
    };
    for (const ParamPtr& param : example.net.params())
      for (int64_t i = 0; i < param->value.numel(); ++i) {
        Tensor entry = param->value.view(-1)[i];
        entry.add_(1e-5);
        const double up = loss();
        entry.sub_(2e-5);
        const double down = loss();
        entry.add_(1e-5);
        EXPECT_NEAR(exact.at(param->name).view(-1)[i].item<double>(), (up - down) / 2e-5, 1e-10)
            << param->name << " " << i;
      }
  }
}

TEST(CorInfoMax, BackpropIsTheOtherReference) {
  Example example(OptionValues{{"cim.reference", "backprop"}});
  const auto found = example.gradients(true);
  const auto bp = make_rule("backprop");
  bp->bind(example.net, *example.loss, 1);
  const auto wanted =
      testing::gradients(*bp, example.net, *example.loss, example_inputs(), example_targets());
  for (const auto& [name, gradient] : wanted) EXPECT_TRUE(at::equal(gradient, found.at(name)));
}

TEST(CorInfoMax, OppositeNudgesAgreeToFirstOrder) {
  double gaps[2];
  for (int i = 0; i < 2; ++i) {
    const char* beta = i ? "0.001" : "0.01";
    const Tensor up = all_of(Example(OptionValues{{"cim.beta", beta}}).gradients()),
                 down = all_of(Example(OptionValues{{"cim.beta", beta}, {"cim.sign", "negative"}})
                                   .gradients());
    gaps[i] = distance(up, down);
  }
  EXPECT_LT(gaps[0], 0.1);
  EXPECT_NEAR(gaps[0] / gaps[1], 10, 1);
}

TEST(CorInfoMax, ThreePhasesAreTheMeanOfTheTwoSigns) {
  const OptionValues few = {{"cim.nudged-steps", "7"}};
  auto with = [&](const std::string& option, const std::string& value) {
    OptionValues values = few;
    values[option] = value;
    return all_of(Example(values).gradients());
  };
  const Tensor mean = (with("cim.sign", "positive") + with("cim.sign", "negative")) / 2;
  EXPECT_LT(distance(with("cim.phases", "three"), mean), 1e-13);
}

TEST(CorInfoMax, TheThirdPhaseOfTheAuthorsStartsAtTheNudgedState) {
  const DynamicsWeights w = example_matrices();
  SettledRates settled(w, {}, boxes(), example_inputs(), 4000);
  settled.nudge(1, example_targets(), 7);
  const Tensor up = settled.state.layer[0].clone();
  settled.nudge(-1, example_targets(), 7);
  const Tensor down = settled.state.layer[0];
  const Tensor found =
      Example(OptionValues{
                  {"cim.phases", "three"}, {"cim.third-from", "nudged"}, {"cim.nudged-steps", "7"}})
          .gradients()
          .at("fc1.weight");
  EXPECT_LT(largest(found + at::mm((up - down).t(), example_inputs()) / 4), 1e-15);
}

TEST(CorInfoMax, TheSignIsDrawnForEveryBatch) {
  const auto loss = make_loss("squared-error");
  Example example(OptionValues{{"cim.sign", "random"}});
  const Tensor up = all_of(Example(OptionValues{}).gradients()).narrow(0, 0, 20),
               down = all_of(Example(OptionValues{{"cim.sign", "negative"}}).gradients())
                          .narrow(0, 0, 20);
  int ups = 0, downs = 0;
  for (int64_t step = 0; step < 40; ++step) {
    const Tensor found = all_of(testing::gradients(*example.rule, example.net, *loss,
                                                   example_inputs(), example_targets(), step));
    ups += at::equal(found, up);
    downs += at::equal(found, down);
  }
  EXPECT_EQ(ups + downs, 40);
  EXPECT_GT(ups, 8);
  EXPECT_GT(downs, 8);
}

TEST(CorInfoMax, OnlyAnUpdateMovesTheLateralMatrices) {
  Example example(OptionValues{{"cim.lambda", "0.9"}});
  TensorMap before, after;
  example.rule->state(StateIO::saving(before));
  example.gradients();
  example.rule->state(StateIO::saving(after));
  EXPECT_TRUE(at::equal(before["lateral1"], after["lateral1"]));
  SettledRates settled(example_matrices(), {}, boxes(), example_inputs(), 4000);
  settled.nudge(1, example_targets(), 4000);

  OwnUpdater updater({.kind = "sgd", .lr = 0.1});
  std::vector<ParamPtr> params = example.net.params();
  for (const ParamPtr& param : example.rule->owned()) params.push_back(param);
  updater.bind(params);
  Step step = Step::train(updater, {.inputs = example_inputs()}, example_targets());
  example.rule->step(step);
  example.rule->state(StateIO::saving(after));
  // B = 2 I, so z = 2 s; gamma is .01 as given and no function of lambda.
  const Tensor z = settled.state.layer[0] * 2;
  const Tensor wanted = (at::eye(4, at::kDouble) * 2 - 0.01 * at::mm(z.t(), z) / 2) / 0.9;
  EXPECT_LT(largest(after["lateral1"] - wanted), 1e-14);
}

TEST(CorInfoMax, ForwardAndBackwardWeightsTakeRatesOfTheirOwn) {
  const auto loss = make_loss("squared-error");
  auto step = [&](const std::vector<std::string>& factors) {
    Graph net = dense_net(example_weights(), "hard-sigmoid");
    TestRun run(net, *loss, make_rule("corinfomax"), {.kind = "sgd", .lr = 1, .lr_of = factors});
    std::map<std::string, Tensor> moves;
    std::vector<ParamPtr> params = net.params();
    params.push_back(run.rule().owned()[0]);
    for (const ParamPtr& param : params) moves[param->name] = param->value.clone();
    run.step(example_inputs(), example_targets());
    for (const ParamPtr& param : params) moves[param->name] = param->value - moves[param->name];
    return moves;
  };
  const auto one = step({}), own = step({"fc2=0.7", "fc2.weight.feedback=0.15"});
  EXPECT_TRUE(at::equal(own.at("fc1.weight"), one.at("fc1.weight")));
  EXPECT_LT(distance(own.at("fc2.weight"), 0.7 * one.at("fc2.weight")), 1e-12);
  EXPECT_LT(distance(own.at("fc2.weight.feedback"), 0.15 * one.at("fc2.weight.feedback")), 1e-12);
}

TEST(CorInfoMax, InPlaceUpdatesAreTheSame) {
  const auto loss = make_loss("squared-error");
  for (const char* kind : {"sgd", "momentum"}) {
    std::vector<Tensor> found;
    for (const bool in_place : {false, true}) {
      Graph net = dense_net(example_weights(), "hard-sigmoid");
      auto rule = make_rule("corinfomax");
      rule->bind(net, *loss, 1);
      ASSERT_TRUE(rule->allows_in_place());
      std::vector<ParamPtr> params = net.params();
      params.push_back(rule->owned()[0]);
      OwnUpdater updater({.kind = kind, .lr = 0.5});
      updater.set_in_place(in_place);
      updater.bind(params);
      for (int64_t i = 0; i < 5; ++i) {
        Step step = Step::train(updater, {.inputs = example_inputs()}, example_targets());
        rule->step(step);
      }
      for (const ParamPtr& param : params) found.push_back(param->value.clone());
    }
    for (size_t i = 0; i < 3; ++i)
      EXPECT_LT(distance(found[i], found[i + 3]), 1e-13) << kind << " " << i;
  }
}

TEST(CorInfoMax, AlignmentShowsBackwardAgainstForwardWeights) {
  const Example example(OptionValues{});
  const auto facts = example.rule->feedback();
  ASSERT_EQ(facts.size(), 1u);
  EXPECT_EQ(facts[0].name, "fc2");
  EXPECT_TRUE(at::equal(facts[0].feedback, example_matrices().backward[1].t()));
  EXPECT_TRUE(at::equal(facts[0].weight, example_weights()[1]));
  Graph net = dense_net(example_weights(), "hard-sigmoid");
  const auto started = make_rule("corinfomax", {{"cim.feedback-init", "transpose"}});
  started->bind(net, *example.loss, 1);
  const auto aligned = started->feedback();
  EXPECT_TRUE(at::equal(aligned[0].feedback, aligned[0].weight));
}

}  // namespace
}  // namespace altprop::testing
