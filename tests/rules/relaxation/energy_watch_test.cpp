// Whether inference lowers its energy, what is rounding and what is not, and the step size that is
// recommended where it does not.
#include <ATen/ops/linalg_eigh.h>

#include "altprop/rules/relaxation/arrival.h"
#include "altprop/rules/relaxation/energy_watch.h"
#include "altprop/rules/relaxation/integrators.h"
#include "altprop/rules/relaxation/lanczos.h"
#include "rules/relaxation/fixture.h"

namespace altprop::testing {
namespace {

TEST(Lanczos, BoundsTheLargestEigenvalueOfEverySampleFromAbove) {
  const int64_t samples = 5, n = 40;
  const Tensor q = Stream(1).normal({samples, n, n}, at::kDouble);
  const Tensor matrices = q.matmul(q.transpose(1, 2));
  const auto product = [&](const Field& u) {
    return Field{Tensor(), matrices.matmul(u[1].unsqueeze(2)).squeeze(2)};
  };
  const Field start = {Tensor(), Stream(2).normal({samples, n}, at::kDouble)};
  const double exact = std::get<0>(at::linalg_eigh(matrices)).max().item<double>();
  for (const double accuracy : {0.1, 0.01, 1e-8}) {
    const double found = largest_eigenvalue(start, true, product, accuracy);
    EXPECT_GE(found, exact * (1 - 1e-12)) << accuracy;
    EXPECT_LE(found, exact * (1 + 1.1 * accuracy)) << accuracy;
  }
  // One eigenvalue problem of all samples together has the same largest eigenvalue.
  EXPECT_NEAR(largest_eigenvalue(start, false, product, 1e-8), exact, 1e-6 * exact);
}

TEST(Lanczos, EndsWhereNothingIsLeft) {
  const Field zero = {at::zeros({3, 4}, at::kDouble)};
  const auto same = [](const Field& u) { return Field{u[0] * 7}; };
  EXPECT_EQ(largest_eigenvalue(zero, true, same), 0);
  const Field start = {at::ones({3, 4}, at::kDouble)};
  EXPECT_NEAR(largest_eigenvalue(start, true, same), 7, 1e-12);
  const auto lost = [](const Field& u) { return Field{u[0] * NAN}; };
  EXPECT_TRUE(std::isnan(largest_eigenvalue(start, true, lost)));
}

/// The worked example in motion, in float32 or float64.
struct Inference {
  Graph net = fixture_net();
  std::unique_ptr<Loss> loss = make_loss("squared-error");
  std::unique_ptr<StatePass> pass;
  std::unique_ptr<ValueRelaxation> values;
  Tensor output, y;

  explicit Inference(at::ScalarType type, double beta = 1) {
    net.to(at::kCPU, type);
    pass = std::make_unique<StatePass>(net, Cut::Blocks);
    values = std::make_unique<ValueRelaxation>(*pass);
    output = pass->forward({.inputs = fixture_inputs().to(type)});
    y = fixture_targets().to(type);
    begin(beta);
  }
  void begin(double beta = 1) { values->begin(output, {*loss, y, 2}, {.beta = beta}); }
  std::optional<EnergyRise> rise(int64_t steps, double eta) {
    return first_rise(*values, steps, [&] { values->descend(Order::Synchronous, eta, 0, false); });
  }
};

TEST(EnergyWatch, RoundingIsNoRise) {
  at::NoGradGuard no_grad;
  for (const at::ScalarType type : {at::kFloat, at::kDouble})
    for (const double beta : {1.0, 1e-3, -0.05}) {
      Inference i(type, beta);
      EXPECT_FALSE(i.rise(3000, 0.3)) << type << " " << beta << ": long after it is at rest";
    }
}

TEST(EnergyWatch, AStepThatIsTooLongIsSeenWhenTheEnergyRises) {
  at::NoGradGuard no_grad;
  Inference i(at::kFloat);
  const double stable = 2 / i.values->curvature();
  const auto rise = i.rise(200, 1.3 * stable);
  ASSERT_TRUE(rise);
  EXPECT_GT(rise->after, rise->before);
  EXPECT_LT(rise->step, 100);
  i.begin();
  EXPECT_FALSE(i.rise(200, 0.9 * stable));
}

TEST(EnergyWatch, TheStepThatIsRecommendedSettles) {
  at::NoGradGuard no_grad;
  for (const double wanted : {2.0, 0.9, 0.05}) {
    Inference i(at::kFloat);
    const double eta = settling_step(
        *i.values, 100, wanted, [&] { i.begin(); },
        [&](double step) { i.values->descend(Order::Synchronous, step, 0, false); },
        [&] { return i.values->curvature(); });
    EXPECT_GT(eta, std::min(wanted, 0.2) - 1e-12);
    EXPECT_LE(eta, wanted);
    i.begin();
    EXPECT_FALSE(i.rise(100, eta)) << eta;
  }
  EXPECT_EQ(rounded_down(0.32987), "0.329");
  EXPECT_EQ(rounded_down(0.33), "0.33");
  EXPECT_EQ(rounded_down(12.349), "12.3");
}

TEST(EnergyWatch, NothingThatIsNoNumberPasses) {
  at::NoGradGuard no_grad;
  Inference i(at::kFloat);
  i.values->refresh();
  EXPECT_TRUE(rises(*i.values, 1, NAN));
  EXPECT_TRUE(rises(*i.values, 1, INFINITY));
  EXPECT_TRUE(rises(*i.values, 1, 1.1));
  EXPECT_FALSE(rises(*i.values, 1, 0.9));
  EXPECT_FALSE(rises(*i.values, -1, -1.5));
  EXPECT_TRUE(rises(*i.values, -1, -0.5));
}

TEST(Integrators, ATimeThatIsNotReachedIsToldApart) {
  at::NoGradGuard no_grad;
  Inference i(at::kDouble);
  const Integrated all = integrate(*i.values, {.time = 5});
  EXPECT_TRUE(all.whole);
  i.begin();
  const Integrated some = integrate(*i.values, {.time = 5, .most_steps = 3});
  EXPECT_FALSE(some.whole);
  EXPECT_LT(some.time, 5);
  EXPECT_EQ(some.steps + some.rejected, 3);
  i.begin();
  EXPECT_TRUE(integrate(*i.values, {.time = 1e6, .at_rest = 1e-3}).whole) << "at rest before";
}

TEST(PredictiveCoding, AnIntegratorThatGivesUpSaysSo) {
  at::NoGradGuard no_grad;
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  for (const std::string most : {"3", "1000"}) {
    const auto rule =
        bound(kPc, {{"pc.mode", "strict"}, {"pc.integrator", "adaptive"}, {"pc.most-steps", most}},
              net, *loss);
    gradients(*rule, net, *loss, fixture_inputs(), fixture_targets());
    const std::vector<std::string> said = rule->notices();
    ASSERT_EQ(said.size(), most == "3" ? 1u : 0u);
    if (most == "3") {
      EXPECT_NE(said[0].find("stopped at time"), std::string::npos) << said[0];
    }
  }
}

/// Message of the divergence of a step on these inputs.
std::string divergence(const std::string& rule_name, const OptionValues& options, const Tensor& x,
                       const Tensor& y) {
  at::NoGradGuard no_grad;
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  const auto rule = bound(rule_name, options, net, *loss);
  try {
    gradients(*rule, net, *loss, x, y);
  } catch (const Diverged& diverged) {
    return diverged.what();
  }
  return "";
}

TEST(PredictiveCoding, ABatchThatIsNotFiniteIsNamedAndNotTheStepSize) {
  Tensor x = fixture_inputs(), y = fixture_targets();
  x[1][2] = NAN;
  const std::string inputs = divergence(kPc, {{"pc.mode", "strict"}}, x, y);
  EXPECT_NE(inputs.find("the inputs of 1 of 2 samples"), std::string::npos) << inputs;
  EXPECT_NE(inputs.find("the first is number 1"), std::string::npos) << inputs;
  EXPECT_EQ(inputs.find("pc.eta"), std::string::npos) << inputs;
  y[0][0] = INFINITY;
  const std::string targets = divergence(kPc, {{"pc.mode", "epc"}}, fixture_inputs(), y);
  EXPECT_NE(targets.find("the targets of 1 of 2 samples"), std::string::npos) << targets;
}

TEST(PredictiveCoding, ADivergenceSaysWhereItBeginsAndWhichStepSettles) {
  const std::string said = divergence(kPc, {{"pc.mode", "strict"}, {"pc.eta", "1.9"}},
                                      fixture_inputs(), fixture_targets());
  EXPECT_NE(said.find("rising first at step"), std::string::npos) << said;
  const size_t at = said.find("with pc.eta=");
  ASSERT_NE(at, std::string::npos) << said;
  const std::string eta = said.substr(at + 12, said.find(' ', at + 12) - at - 12);
  EXPECT_EQ(divergence(kPc, {{"pc.mode", "strict"}, {"pc.eta", eta}}, fixture_inputs(),
                       fixture_targets()),
            "")
      << eta;
}

/// Credit shares of a chain of hidden states whose precisions differ, against the relaxation.
TEST(Arrivals, UnevenPrecisionsAreFollowedStateByState) {
  at::NoGradGuard no_grad;
  Graph net = fixture_net(true);
  StatePass pass(net, Cut::Blocks);
  const Tensor output = pass.forward({.inputs = fixture_inputs()});
  HopFeedback exact;
  for (const bool sweeping : {false, true}) {
    LinearRelaxation relaxation(pass.graph());
    std::vector<double> rates(pass.graph().states.size(), 1);
    rates[1] = 0.4;
    rates[2] = 1.7;
    relaxation.set_rates(rates);
    relaxation.freeze(pass.activity(), exact, output - fixture_targets());
    Field u = relaxation.start(pass.values(), true);
    relaxation.iterate(u, sweeping ? Order::GaussSeidel : Order::Synchronous, 0.3, {.steps = 7});
    const Field end = relaxation.fixed_point();
    const std::vector<double> shares = relaxed_shares(pass.graph(), relaxation, {0.3, 7, sweeping});
    for (const int state : {1, 2}) {
      const size_t s = static_cast<size_t>(state);
      EXPECT_NEAR((u[s].norm() / end[s].norm()).item<double>(), shares[s], 1e-12) << state;
    }
  }
}

TEST(Arrivals, UnevenPrecisionsThatLeaveCreditBehindAreWarnedAbout) {
  Graph net = fixture_net();
  const auto loss = make_loss("squared-error");
  const auto said = [&](const std::string& steps) {
    return bound(kPc, {{"pc.precision", "0.5, 2"}, {"pc.eta", "0.1"}, {"pc.steps", steps}}, net,
                 *loss)
        ->warnings({});
  };
  ASSERT_EQ(said("25").size(), 1u);
  const std::string warning = said("25")[0];
  EXPECT_NE(warning.find("fc1 receives"), std::string::npos) << warning;
  const size_t at = warning.rfind("pc.steps=");
  const std::string enough = warning.substr(at + 9, warning.find(' ', at) - at - 9);
  EXPECT_TRUE(said(enough).empty()) << enough;
}

}  // namespace
}  // namespace altprop::testing
