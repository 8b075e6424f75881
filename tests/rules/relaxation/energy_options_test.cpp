// Predictive coding with precisions, nudging in both directions, other integrators and levelled
// graphs: against closed forms and identities, in float64.
#include <ATen/ops/linalg_inv.h>

#include "altprop/base/error.h"
#include "altprop/rules/relaxation/integrators.h"
#include "rules/relaxation/fixture.h"

namespace altprop::testing {
namespace {

std::map<std::string, Tensor> gradients_with(const OptionValues& values, Graph& net,
                                             bool exact = false) {
  const auto loss = make_loss("squared-error");
  const auto rule = bound(kPc, values, net, *loss);
  at::NoGradGuard no_grad;
  return gradients(*rule, net, *loss, fixture_inputs(), fixture_targets(), 0, exact);
}

double distance_between(const std::map<std::string, Tensor>& a,
                        const std::map<std::string, Tensor>& b) {
  double worst = 0;
  for (const auto& [name, gradient] : a) worst = std::max(worst, distance(gradient, b.at(name)));
  return worst;
}

std::string refusal_of(const OptionValues& values, Graph net,
                       const std::string& loss_name = "squared-error") {
  const auto loss = make_loss(loss_name);
  try {
    bound(kPc, values, net, *loss);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Precision, TheFixedPointIsBackpropForAnyPrecisions) {
  Graph net = fixture_net();
  const auto exact = gradients_with({}, net, true);
  const OptionValues uneven = {{"pc.precision", "0.5, 3"}, {"pc.eta", "0.3"}};
  auto after = [&](const std::string& steps, const std::string& schedule) {
    OptionValues values = uneven;
    values["pc.steps"] = steps;
    values["pc.schedule"] = schedule;
    return distance_between(gradients_with(values, net), exact);
  };
  EXPECT_LT(after("400", "synchronous"), 1e-12);
  EXPECT_LT(after("400", "gauss-seidel"), 1e-12);
  EXPECT_LT(after("400", "red-black"), 1e-12);
  EXPECT_GT(after("3", "synchronous"), 0.1);
}

TEST(Precision, OneForAllIsAFactorOfTheStep) {
  Graph net = fixture_net();
  const OptionValues precise = {{"pc.precision", "3"}, {"pc.eta", "0.1"}, {"pc.steps", "5"}};
  OptionValues loop = precise;
  loop["pc.engine"] = "loop";
  const auto as_step = gradients_with({{"pc.eta", "0.3"}, {"pc.steps", "5"}}, net);
  EXPECT_LT(distance_between(gradients_with(precise, net), as_step), 1e-12);
  EXPECT_LT(distance_between(gradients_with(loop, net), as_step), 1e-12);
  const OptionValues as_if_uneven = {
      {"pc.precision", "3, 3.0000000001"}, {"pc.eta", "0.1"}, {"pc.steps", "5"}};
  EXPECT_LT(distance_between(gradients_with(as_if_uneven, net), as_step), 1e-9)
      << "rates per state";
}

/// At the equilibrium of a linear network the output's credit is that of the forward pass divided
/// by S = I + sum_l P_l P_l^T / p_l, P_l the map from state l to the output.
TEST(Precision, LinearEquilibriumIsTheClosedForm) {
  for (const std::string mode : {"strict", "epc"}) {
    Graph net = fixture_net(true);
    const auto found = gradients_with(
        {{"pc.mode", mode}, {"pc.precision", "0.5, 2"}, {"pc.eta", "0.2"}, {"pc.steps", "1000"}},
        net);
    std::vector<Tensor> w;
    for (const ParamPtr& p : net.params()) w.push_back(p->value);
    const Tensor x = fixture_inputs(), y = fixture_targets();
    const Tensor p2 = w[2], p1 = w[2].mm(w[1]);
    const Tensor s = at::eye(2, at::kDouble) + p1.mm(p1.t()) / 0.5 + p2.mm(p2.t()) / 2;
    const Tensor top = (x.mm(w[0].t()).mm(w[1].t()).mm(w[2].t()) - y).mm(at::linalg_inv(s));
    const Tensor d2 = top.mm(p2), d1 = top.mm(p1);
    const Tensor v1 = x.mm(w[0].t()) - d1 / 0.5, v2 = v1.mm(w[1].t()) - d2 / 2;
    EXPECT_LT(distance(found.at("fc1.weight"), d1.t().mm(x) / 2), 1e-9) << mode;
    EXPECT_LT(distance(found.at("fc2.weight"), d2.t().mm(v1) / 2), 1e-9) << mode;
    EXPECT_LT(distance(found.at("fc3.weight"), top.t().mm(v2) / 2), 1e-9) << mode;
  }
}

OptionValues nudged(const std::string& nudging, const std::string& output,
                    const std::string& beta) {
  return {{"pc.mode", "strict"},   {"pc.eta", "0.4"},     {"pc.steps", "1500"},
          {"pc.nudging", nudging}, {"pc.output", output}, {"pc.beta", beta}};
}

/// With the loss in the energy the limit is backprop. A clamped output keeps its unit precision, so
/// that its limit is the equilibrium of the linearised network.
TEST(Nudging, BothDirectionsTogetherAreOfSecondOrder) {
  Graph net = fixture_net();
  for (const std::string output : {"loss", "clamp"}) {
    const auto limit = output == "loss" ? gradients_with({}, net, true)
                                        : gradients_with(nudged("centred", "clamp", "0.0003"), net);
    auto error = [&](const std::string& nudging, const std::string& beta) {
      return distance_between(gradients_with(nudged(nudging, output, beta), net), limit);
    };
    EXPECT_NEAR(error("positive", "0.02") / error("positive", "0.01"), 2, 0.1) << output;
    EXPECT_NEAR(error("negative", "0.02") / error("negative", "0.01"), 2, 0.1) << output;
    EXPECT_NEAR(error("centred", "0.02") / error("centred", "0.01"), 4, 0.1) << output;
    EXPECT_LT(error("centred", "0.01"), 0.1 * error("positive", "0.01")) << output;
  }
}

TEST(Nudging, AFullClampIsTheSquaredError) {
  Graph net = fixture_net();
  for (const std::string mode : {"strict", "epc"}) {
    const OptionValues loss = {{"pc.mode", mode}, {"pc.eta", "0.2"}};
    OptionValues clamp = loss;
    clamp["pc.output"] = "clamp";
    EXPECT_LT(distance_between(gradients_with(clamp, net), gradients_with(loss, net)), 1e-12);
    clamp["pc.beta"] = "0.5";
    EXPECT_GT(distance_between(gradients_with(clamp, net), gradients_with(loss, net)), 0.01);
  }
}

/// Values in motion after a forward pass on the worked example.
struct Flow {
  Graph net = fixture_net();
  std::unique_ptr<Loss> loss = make_loss("squared-error");
  Tensor x = fixture_inputs(), y = fixture_targets();
  StatePass pass{net, Cut::Blocks};
  ValueRelaxation values{pass};

  Flow() {
    const Tensor output = pass.forward({.inputs = x});
    values.begin(output, {*loss, y, 2}, {});
  }
};

TEST(Integrators, HeunIsOfSecondOrder) {
  auto at_time_one = [](int steps, bool heun) {
    Flow flow;
    for (int i = 0; i < steps; ++i) {
      if (heun) {
        heun_step(flow.values, 1.0 / steps);
      } else {
        flow.values.descend(Order::Synchronous, 1.0 / steps, 0, false);
      }
    }
    return flow.values.values()[1].clone();
  };
  const Tensor exact = at_time_one(2000, true);
  auto error = [&](int steps, bool heun) {
    return (at_time_one(steps, heun) - exact).norm().item<double>();
  };
  EXPECT_NEAR(error(20, false) / error(40, false), 2, 0.1);
  EXPECT_NEAR(error(80, true) / error(160, true), 4, 0.2);
}

TEST(Integrators, AdaptiveStepsKeepTheirErrorAndEndAtRest) {
  Flow fine;
  for (int i = 0; i < 4000; ++i) heun_step(fine.values, 20.0 / 4000);
  for (const double tolerance : {1e-3, 1e-5}) {
    Flow flow;
    const Integrated run = integrate(flow.values, {.tolerance = tolerance});
    EXPECT_NEAR(run.time, 20, 1e-12);
    EXPECT_LT((flow.values.values()[1] - fine.values.values()[1]).norm().item<double>(),
              10 * tolerance);
    EXPECT_LT(run.steps, tolerance > 1e-4 ? 60 : 400);
  }
  Flow flow;
  const Integrated run = integrate(flow.values, {.time = 1e6, .tolerance = 1e-4, .at_rest = 1e-4});
  EXPECT_LT(run.time, 1e6);
  EXPECT_NEAR(flow.values.energy(), 0.5744607280013754, 1e-6);
}

TEST(Levels, IdentityStatesMakeUnitStepsExactOnSkips) {
  for (const std::string loss_name : {"squared-error", "cross-entropy"}) {
    Graph net = skip_net();
    const auto loss = make_loss(loss_name);
    const Tensor x = at::randn({5, 4}, at::kDouble), y = at::tensor({0, 1, 2, 1, 0}, at::kLong);
    const auto rule = bound(kPc, {{"pc.mode", "zil"}, {"pc.level", "true"}}, net, *loss);
    EXPECT_LT(distance_from_backprop(*rule, net, *loss, x, y), 1e-12);
  }
  EXPECT_NE(refusal_of({{"pc.mode", "zil"}}, skip_net()).find("use pc.level=true"),
            std::string::npos);
  const StateGraph graph = states(skip_net(), Cut::Blocks), levelled = level(graph);
  EXPECT_FALSE(graph.levelled());
  EXPECT_GT(levelled.states.size(), graph.states.size());
  const std::vector<int> longest = levelled.hops_to_output(true),
                         shortest = levelled.hops_to_output(false);
  for (size_t s = 0; s < levelled.states.size(); ++s)
    if (!levelled.states[s].input) {
      EXPECT_EQ(longest[s], shortest[s]) << levelled.states[s].name;
    }
}

TEST(Levels, ALevelledGraphStaysAsItIs) {
  const StateGraph graph = states(fixture_net(), Cut::Blocks), levelled = level(graph);
  EXPECT_EQ(levelled.states.size(), graph.states.size());
  EXPECT_EQ(levelled.edges.size(), graph.edges.size());
}

TEST(EnergyOptions, RefusesWhatDoesNotGoTogether) {
  const std::vector<std::pair<OptionValues, std::string>> cases = {
      {{{"pc.nudging", "centred"}}, "use pc.mode=strict or epc"},
      {{{"pc.mode", "ipc"}, {"pc.nudging", "centred"}}, "relaxes twice"},
      {{{"pc.mode", "zil"}, {"pc.precision", "2"}}, "unit precision"},
      {{{"pc.precision", "2, 3, 4"}}, "has 3 numbers for 2 hidden states"},
      {{{"pc.precision", "0"}}, "numbers above 0, but '0' is not"},
      {{{"pc.precision", "many"}}, "'many' is not"},
      {{{"pc.precision", "30"}}, "use pc.eta below 0.0666"},
      {{{"pc.precision", "1, 2"}, {"pc.engine", "fast-forward"}}, "one precision for all states"},
      {{{"pc.mode", "epc"}, {"pc.integrator", "heun"}}, "is not for pc.mode=epc"},
      {{{"pc.mode", "strict"}, {"pc.integrator", "adaptive"}, {"pc.momentum", "0.5"}},
       "without momentum"}};
  for (const auto& [values, fragment] : cases)
    EXPECT_NE(refusal_of(values, fixture_net()).find(fragment), std::string::npos)
        << refusal_of(values, fixture_net());
  EXPECT_NE(
      refusal_of({{"pc.mode", "strict"}, {"pc.output", "clamp"}}, fixture_net(), "cross-entropy")
          .find("squared-error"),
      std::string::npos);
}

}  // namespace
}  // namespace altprop::testing
