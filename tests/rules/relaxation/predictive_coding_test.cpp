// Predictive coding: every mode against its closed forms and the worked example, in float64.
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/linalg_inv.h>

#include "altprop/network/architecture.h"
#include "altprop/rules/relaxation/value_relaxation.h"
#include "rules/relaxation/fixture.h"

namespace altprop::testing {
namespace {

/// Values in motion after a forward pass on the worked example.
struct MovingExample {
  Graph net;
  std::unique_ptr<Loss> loss = make_loss("squared-error");
  Tensor x = fixture_inputs(), y = fixture_targets();
  StatePass pass;
  ValueRelaxation relaxation;

  explicit MovingExample(bool linear_net = false, double beta = 1)
      : net(fixture_net(linear_net)), pass(net, Cut::Blocks), relaxation(pass) {
    const Tensor output = pass.forward({.inputs = x});
    relaxation.begin(output, {*loss, y, 2}, {.beta = beta});
  }
  void steps(int n, double eta, Order order = Order::Synchronous) {
    for (int i = 0; i < n; ++i) relaxation.descend(order, eta, 0, false);
    relaxation.refresh();
  }
  Tensor value(int layer) const { return relaxation.values()[static_cast<size_t>(layer)]; }
  /// In the literature's sign: value less prediction.
  Tensor error(int layer) const { return -relaxation.credits()[static_cast<size_t>(layer)]; }
};

const Tensor g1 = matrix({{0.18666686, 0.19689214, -0.35053895, 0.09485921},
                          {0.04767459, 0.45837657, -0.42917851, -0.10117401}}),
             g2 = matrix(
                 {{-0.25899576, -0.25864936, 0.47426799}, {-0.65581811, 0.33150044, 0.37991239}});

std::vector<double> norms(const std::map<std::string, Tensor>& g, double samples) {
  std::vector<double> out;
  for (const std::string name : {"fc1.weight", "fc2.weight", "fc3.weight"})
    out.push_back(samples * g.at(name).norm().item<double>());
  return out;
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  for (size_t i = 0; i < b.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << i;
}

TEST(PredictiveCoding, ExactAndUnitStepsAreBackprop) {
  const auto loss = make_loss("cross-entropy");
  const std::vector<std::tuple<Graph, std::vector<int64_t>, int64_t>> nets = {
      {mlp({6, 8, 7, 5, 4}, "relu", 1, at::kDouble), {5, 6}, 4},
      {conv_net(), {3, 3, 9, 9}, 5},
      {tied_net(), {5, 4}, 3}};
  for (const auto& [made, shape, classes] : nets) {
    Graph net = made;
    const BatchOf b = draw_batch(shape, classes);
    for (const OptionValues& values : std::vector<OptionValues>{
             {{"pc.mode", "exact"}},
             {{"pc.eta", "1"}, {"pc.steps", "3"}, {"pc.engine", "loop"}},
             {{"pc.eta", "1"}, {"pc.steps", "3"}},
             {{"pc.eta", "1"}, {"pc.steps", "1"}, {"pc.schedule", "gauss-seidel"}},
             {{"pc.eta", "0.4"}, {"pc.steps", "900"}, {"pc.schedule", "red-black"}}})
      EXPECT_LT(distance_from_backprop(*bound(kPc, values, net, *loss), net, *loss, b.x, b.y),
                1e-12);
  }
}

TEST(PredictiveCoding, FewFixedStepsScaleEachLayer) {
  Graph net = mlp({6, 8, 7, 7, 5, 4}, "tanh", 1, at::kDouble);
  const auto loss = make_loss("cross-entropy");
  const BatchOf b = draw_batch({5, 6}, 4);
  // Errors read before the update (Rosenbaum 2022): 20 steps there are 19 here.
  const auto rule = bound(kPc, {{"pc.steps", "19"}}, net, *loss);
  const std::vector<double> share = {0.1150, 0.2946, 0.5797, 0.8649, 1};
  const auto own = gradients(*rule, net, *loss, b.x, b.y),
             exact = gradients(*rule, net, *loss, b.x, b.y, 0, true);
  for (size_t l = 0; l < share.size(); ++l) {
    const std::string name = "fc" + std::to_string(l + 1) + ".weight";
    EXPECT_NEAR(cosine(own.at(name), exact.at(name)), 1, 1e-12);
    EXPECT_NEAR((own.at(name).norm() / exact.at(name).norm()).item<double>(), share[l], 5e-5);
  }
}

TEST(PredictiveCoding, StrictCreditArrivesOneHopAStep) {
  at::NoGradGuard no_grad;
  MovingExample m;
  m.steps(1, 0.2);
  EXPECT_LT(distance(m.error(2), -0.2 * g2), 1e-7);
  EXPECT_EQ(m.error(1).abs().max().item<double>(), 0);
  m.steps(1, 0.2);
  EXPECT_LT(distance(m.error(1), -0.04 * g1), 1e-7);
}

TEST(PredictiveCoding, StrictValuesOfTheWorkedExample) {
  at::NoGradGuard no_grad;
  MovingExample m;
  const std::vector<std::pair<int, double>> energies = {
      {0, 0.950072378845828}, {1, 0.7782931656613}, {2, 0.6983633971782}, {20, 0.5755581478556}};
  int done = 0;
  for (const auto& [steps, energy] : energies) {
    m.steps(steps - done, 0.2);
    done = steps;
    EXPECT_NEAR(m.relaxation.energy(), energy, 1e-12) << steps;
  }
  MovingExample five;
  five.steps(5, 0.2);
  EXPECT_NEAR(five.relaxation.energy(), 0.6102669133396285, 1e-14);
  EXPECT_LT(
      distance(five.value(1)[0], matrix({{-0.37231688, -0.48307217, -0.10122392, 0.27373295}})[0]),
      1e-7);
  EXPECT_LT(distance(five.value(2)[1], matrix({{0.24366476, -0.38635344, -0.28312483}})[0]), 1e-7);
  EXPECT_LT(
      distance(five.error(1)[1], matrix({{-0.00722515, -0.08538053, 0.07828683, 0.02022290}})[0]),
      1e-6);
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  const auto rule =
      bound(kPc, {{"pc.mode", "strict"}, {"pc.eta", "0.2"}, {"pc.steps", "5"}}, net, *loss);
  expect_near(norms(gradients(*rule, net, *loss, five.x, five.y), 2),
              {0.2152012781682, 0.2265052872824, 0.4605689103187}, 1e-12);
}

TEST(PredictiveCoding, StrictEquilibriumOfTheWorkedExample) {
  at::NoGradGuard no_grad;
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  const Tensor x = fixture_inputs(), y = fixture_targets();
  for (const std::string schedule : {"synchronous", "gauss-seidel", "red-black"}) {
    const auto rule = bound(
        kPc,
        {{"pc.mode", "strict"}, {"pc.eta", "0.3"}, {"pc.steps", "2000"}, {"pc.schedule", schedule}},
        net, *loss);
    const auto g = gradients(*rule, net, *loss, x, y),
               exact = gradients(*rule, net, *loss, x, y, 0, true);
    expect_near(norms(g, 2), {0.4561835953738, 0.2730548574781, 0.4898028307586}, 1e-11);
    EXPECT_NEAR(cosine(g.at("fc1.weight"), exact.at("fc1.weight")), 0.99720896, 1e-8);
    EXPECT_NEAR(cosine(g.at("fc2.weight"), exact.at("fc2.weight")), 0.88396270, 1e-8);
    EXPECT_NEAR(cosine(g.at("fc3.weight"), exact.at("fc3.weight")), 0.48118677, 1e-8);
  }
  MovingExample m;
  m.steps(2000, 0.3);
  EXPECT_NEAR(m.relaxation.energy(), 0.5744607280013754, 1e-14);
  EXPECT_LT(distance(m.error(1)[1], matrix({{0.01051435, -0.19451004, 0.15137512, 0.06852148}})[0]),
            1e-7);
}

TEST(PredictiveCoding, SmallOutputPrecisionIsBackprop) {
  at::NoGradGuard no_grad;
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  const Tensor x = fixture_inputs(), y = fixture_targets();
  const std::vector<std::pair<std::string, std::vector<double>>> table = {
      {"1", {.6117, .6049, 1.1032}},
      {"0.1", {.1374, .1537, .2761}},
      {"0.01", {.01566, .01830, .03401}},
      {"0.001", {.00159, .00187, .00348}}};
  for (const auto& [beta, errors] : table) {
    const auto rule = bound(
        kPc, {{"pc.mode", "strict"}, {"pc.eta", "0.3"}, {"pc.steps", "2000"}, {"pc.beta", beta}},
        net, *loss);
    const auto g = gradients(*rule, net, *loss, x, y),
               exact = gradients(*rule, net, *loss, x, y, 0, true);
    for (size_t l = 0; l < 3; ++l) {
      const std::string name = "fc" + std::to_string(l + 1) + ".weight";
      EXPECT_NEAR(distance(g.at(name), exact.at(name)), errors[l], 6e-3 * errors[l] + 1e-5)
          << beta << " " << name;
    }
  }
}

TEST(PredictiveCoding, ErrorsRelaxFasterToTheSameEquilibrium) {
  at::NoGradGuard no_grad;
  MovingExample one;
  one.relaxation.descend_errors(0.2);
  EXPECT_LT(distance(one.error(2), -0.2 * g2), 1e-7);
  EXPECT_LT(distance(one.error(1), -0.2 * g1), 1e-7);
  MovingExample end;
  end.steps(3000, 0.3);
  const auto far = [&](const MovingExample& m) {
    double largest = 0;
    for (const int layer : {1, 2})
      largest = std::max(largest, (m.error(layer) - end.error(layer)).abs().max().item<double>());
    return largest;
  };
  const std::vector<std::tuple<int, double, double>> table = {
      {5, 5.6e-2, 1.1e-1}, {20, 7.7e-4, 2.1e-2}, {100, 8.2e-13, 5.6e-5}};
  for (const auto& [steps, errors, values] : table) {
    MovingExample a, b;
    for (int i = 0; i < steps; ++i) a.relaxation.descend_errors(0.2);
    b.steps(steps, 0.2);
    EXPECT_NEAR(far(a), errors, 0.02 * errors) << steps;
    EXPECT_NEAR(far(b), values, 0.02 * values) << steps;
  }
}

TEST(PredictiveCoding, LinearNetworkInClosedForm) {
  at::NoGradGuard no_grad;
  MovingExample m(true);
  m.steps(4000, 0.3);
  const auto w = [&](int l) { return m.net.params()[static_cast<size_t>(l)]->value; };
  const Tensor p1 = w(2).mm(w(1)), p2 = w(2);
  const Tensor s = at::eye(2, at::kDouble) + p1.mm(p1.t()) + p2.mm(p2.t());
  EXPECT_LT(distance(s, matrix({{1.97880401, 0.66487211}, {0.66487211, 1.89227622}})), 1e-8);
  const Tensor off = m.y - m.net.predict(m.x), e3 = off.mm(at::linalg_inv(s));
  EXPECT_LT(distance(m.error(3), e3), 1e-10);
  EXPECT_LT(distance(m.error(1), e3.mm(p1)), 1e-10);
  EXPECT_NEAR(m.relaxation.energy(), 0.5345181729497781, 1e-12);
  EXPECT_NEAR(m.relaxation.energy(), 0.5 * (off * e3).sum().item<double>(), 1e-12);
  EXPECT_LT(
      distance(m.error(1)[0], matrix({{-0.10575420, -0.04054236, 0.13949734, -0.07556040}})[0]),
      1e-7);
  EXPECT_NEAR(m.relaxation.curvature(1e-9), 3.14148571, 1e-4);
  const double of_errors = at::linalg_eigvalsh(s).max().item<double>();  // I + J^T J has that of S
  EXPECT_NEAR(m.relaxation.error_curvature(1e-9), of_errors, 1e-4);
}

// On a network that is linear in its values the energy in the errors is a quadratic form plus the
// loss, so that descent contracts just below 2 / curvature and grows just above.
TEST(PredictiveCoding, CurvatureTellsWhichStepsAreStable) {
  at::NoGradGuard no_grad;
  for (const bool errors : {false, true}) {
    double largest = 0;
    for (const double part : {0.97, 1.03}) {
      MovingExample m(true);
      largest = errors ? m.relaxation.error_curvature(1e-9) : m.relaxation.curvature(1e-9);
      const double eta = 2 * part / largest;
      if (errors)
        for (int t = 0; t < 400; ++t) m.relaxation.descend_errors(eta);
      else
        m.steps(400, eta);
      EXPECT_EQ(m.relaxation.energy() < 1, part < 1) << errors << " " << part;
    }
    EXPECT_GT(largest, 1);
  }
}

// Softmax has a second derivative of at most 1/2, so that larger steps are stable than for squared
// error; a saturated one has next to none.
TEST(PredictiveCoding, CurvatureKnowsTheLoss) {
  at::NoGradGuard no_grad;
  Graph net = fixture_net(true);
  const Tensor x = fixture_inputs(), y = at::tensor({0, 1}, at::kLong);
  const auto largest = [&](const char* name, double beta) {
    const auto loss = make_loss(name);
    StatePass pass(net, Cut::Blocks);
    ValueRelaxation relaxation(pass);
    const Tensor output = pass.forward({.inputs = x});
    relaxation.begin(output, {*loss, y, 2}, {.beta = beta});
    return relaxation.error_curvature(1e-9);
  };
  const double squared = largest("squared-error", 1) - 1;
  EXPECT_GT(squared, 0);
  EXPECT_NEAR(largest("squared-error", 0.25) - 1, 0.25 * squared, 1e-6);
  const double softmax = largest("cross-entropy", 1) - 1;
  EXPECT_GT(softmax, 0.05 * squared);
  EXPECT_LT(softmax, 0.5 * squared);
}

TEST(PredictiveCoding, LearningAtFirstArrivalIsBackprop) {
  const auto loss = make_loss("cross-entropy");
  Graph deep = mlp({6, 8, 7, 5, 4}, "tanh", 1, at::kDouble), conv = conv_net();
  const BatchOf b = draw_batch({5, 6}, 4), images = draw_batch({3, 3, 9, 9}, 5);
  EXPECT_LT(
      distance_from_backprop(*bound(kPc, {{"pc.mode", "zil"}}, deep, *loss), deep, *loss, b.x, b.y),
      1e-13);
  EXPECT_LT(distance_from_backprop(*bound(kPc, {{"pc.mode", "zil"}}, conv, *loss), conv, *loss,
                                   images.x, images.y),
            1e-12);
}

TEST(PredictiveCoding, NothingHappensAtTheTarget) {
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  const Tensor x = fixture_inputs(), y = net.predict(x);
  for (const std::string mode : {"fixed", "exact", "strict", "zil", "epc"})
    for (const auto& [name, g] :
         gradients(*bound(kPc, {{"pc.mode", mode}}, net, *loss), net, *loss, x, y))
      EXPECT_LE(g.abs().max().item<double>(), mode == "strict" ? 1e-15 : 0) << mode << " " << name;
}

TEST(PredictiveCoding, ValuesBeforeTheActivationHaveTheSameLimitAndOtherDynamics) {
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  const Tensor x = fixture_inputs(), y = fixture_targets();
  const auto fixed =
      bound(kPc, {{"pc.values", "pre"}, {"pc.eta", "1"}, {"pc.steps", "2"}}, net, *loss);
  EXPECT_LT(distance_from_backprop(*fixed, net, *loss, x, y), 1e-13);
  const OptionValues strict = {{"pc.mode", "strict"}, {"pc.eta", "0.2"}, {"pc.steps", "200"}};
  OptionValues pre = strict;
  pre["pc.values"] = "pre";
  EXPECT_GT(distance(gradients(*bound(kPc, pre, net, *loss), net, *loss, x, y).at("fc1.weight"),
                     gradients(*bound(kPc, strict, net, *loss), net, *loss, x, y).at("fc1.weight")),
            1e-2);
}

TEST(PredictiveCoding, MasksAndStatisticsStayThroughInference) {
  // Strict inference with small precision approaches backprop's gradient of the same masks.
  Graph net = network("chain: linear 12, batch-norm, tanh, dropout 0.4, linear 9, tanh, linear *",
                      {.input_shape = {6}, .classes = 4});
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  const auto loss = make_loss("cross-entropy");
  const BatchOf b = draw_batch({7, 6}, 4);
  const auto rule =
      bound(kPc, {{"pc.mode", "epc"}, {"pc.beta", "1e-6"}, {"pc.eta", "0.5"}, {"pc.steps", "60"}},
            net, *loss);
  EXPECT_LT(distance_from_backprop(*rule, net, *loss, b.x, b.y), 1e-4);
}

TEST(PredictiveCoding, IncrementalStepsUpdateAtEveryInferenceStep) {
  for (const auto& [values, updates] :
       std::vector<std::pair<OptionValues, int>>{{{{"pc.mode", "ipc"}, {"pc.steps", "5"}}, 6},
                                                 {{{"pc.mode", "ipc"},
                                                   {"pc.steps", "6"},
                                                   {"pc.ipc-warmup", "3"},
                                                   {"pc.ipc-interval", "2"}},
                                                  2}}) {
    Graph net = mlp({6, 8, 7, 4}, "tanh", 1, at::kDouble);
    const auto loss = make_loss("cross-entropy");
    TestRun run(net, *loss, make_rule(kPc, values), {.kind = "sgd", .lr = 0.05});
    const BatchOf b = draw_batch({16, 6}, 4);
    const double before = run.step(b.x, b.y);
    EXPECT_EQ(run.updater().steps(), updates);
    double after = 0;
    for (int i = 0; i < 40; ++i) after = run.step(b.x, b.y);
    EXPECT_LT(after, 0.8 * before);
  }
}

TEST(PredictiveCoding, SaysWhatDoesNotFit) {
  const auto loss = make_loss("squared-error");
  Graph net = skip_net();
  EXPECT_NE(refusal([&] {
              bound(kPc, {{"pc.mode", "zil"}}, net, *loss);
            }).find("pc.mode=fixed"),
            std::string::npos);
  Graph wild = fixture_net(true);
  const auto rule =
      bound(kPc, {{"pc.mode", "strict"}, {"pc.eta", "0.9"}, {"pc.steps", "100"}}, wild, *loss);
  std::string said;
  try {
    gradients(*rule, wild, *loss, fixture_inputs(), fixture_targets());
  } catch (const Error& error) {
    said = error.what();
  }
  EXPECT_NE(said.find("with pc.eta=0.6"), std::string::npos) << said;
  // Errors of a network whose output saturates: flat where they end, steep where they began.
  const auto softmax = make_loss("cross-entropy");
  Graph steep = mlp({6, 20, 20, 20, 4}, "tanh", 1, at::kDouble);
  for (const auto& param : steep.params()) param->value.mul_(4);
  const auto errors =
      bound(kPc, {{"pc.mode", "epc"}, {"pc.eta", "1"}, {"pc.steps", "5"}}, steep, *softmax);
  const BatchOf b = draw_batch({8, 6}, 4);
  said.clear();
  try {
    gradients(*errors, steep, *softmax, b.x, b.y);
  } catch (const Error& error) {
    said = error.what();
  }
  const size_t number = said.find("with pc.eta=");
  ASSERT_NE(number, std::string::npos) << said;
  const std::string stable = std::to_string(std::stod(said.substr(number + 12)));
  EXPECT_LT(std::stod(stable), 1) << said;
  const auto calm =
      bound(kPc, {{"pc.mode", "epc"}, {"pc.eta", stable}, {"pc.steps", "5"}}, steep, *softmax);
  EXPECT_NO_THROW(gradients(*calm, steep, *softmax, b.x, b.y));
  Graph deep = mlp({6, 8, 8, 8, 8, 4}, "relu", 1, at::kDouble);
  const auto warnings = [&](const std::string& steps) {
    return bound(kPc, {{"pc.steps", steps}}, deep, *loss)->warnings({});
  };
  ASSERT_EQ(warnings("19").size(), 1u);
  EXPECT_EQ(
      warnings("19")[0],
      "predictive-coding: with pc.steps=19 fc1 receives 11.5 % of backprop's credit, 4 hops from "
      "the loss; pc.steps=126 brings 99.9 %");
  EXPECT_TRUE(warnings("100").empty());
}

}  // namespace
}  // namespace altprop::testing
