// The dynamics of CorInfoMax against its equations written down a second time, the published
// properties of its fixed points, and numbers computed elsewhere.
#include "rules/corinfomax/fixture.h"

namespace altprop::testing {
namespace {

const DynamicsSettings kSettings;  // epsilon .15, leak .5, eta .05, constant steps

DynamicsWeights without_lateral(DynamicsWeights w) {
  for (Tensor& b : w.lateral) b = Tensor();
  return w;
}

/// Four layers, so that one has neighbours on both sides that are no inputs.
DynamicsWeights deep() {
  DynamicsWeights w;
  const std::vector<int64_t> sizes = {3, 5, 4, 6, 2};
  for (int k = 0; k < 4; ++k) {
    const int64_t in = sizes[static_cast<size_t>(k)], out = sizes[static_cast<size_t>(k) + 1];
    w.forward.push_back(sines(k, out, in).add_(0.1));
    w.backward.push_back(k ? sines(k + 5, in, out) : Tensor());
    const Tensor x = sines(k + 9, out, out);
    w.lateral.push_back(at::mm(x, x.t()));
  }
  w.gamma = 0.3;
  return w;
}

TEST(CorInfoMaxDynamics, AgreesWithItsEquationsWrittenDownAgain) {
  const std::vector<RateDomain> mixed = {RateDomain::Sparse, RateDomain::AntiSparse,
                                         RateDomain::Sparse, RateDomain::Sparse};
  for (const char* step_rule : {"constant", "slow", "loop"})
    for (const auto& domains : {boxes(4), mixed})
      for (const bool lateral : {true, false}) {
        const DynamicsWeights w = lateral ? deep() : without_lateral(deep());
        const DynamicsSettings d{.epsilon = 0.3,
                                 .leak = 0.4,
                                 .eta = 0.06,
                                 .step_rule = step_rule,
                                 .multiplier_hidden = 0.2,
                                 .multiplier_output = 0.1};
        NaiveState naive = naive_zero(2, w);
        SettledRates own(w, d, domains, example_inputs(), 25);
        naive_settle(naive, example_inputs(), w, d, domains, 25, 0, example_targets());
        own.nudge(-0.7, example_targets(), 9);
        naive_settle(naive, example_inputs(), w, d, domains, 9, -0.7, example_targets());
        for (size_t k = 0; k < 4; ++k) {
          EXPECT_LT(largest(own.state.layer[k] - naive.s[k]), 1e-13) << step_rule << " layer " << k;
          EXPECT_GT(largest(naive.s[k]), 1e-4);
          if (domains[k] == RateDomain::Sparse) {
            EXPECT_LT(largest(own.state.mu[k] - naive.mu[k]), 1e-13) << "layer " << k;
          }
        }
      }
}

TEST(CorInfoMaxDynamics, AMultiplierHoldsTheSumOfSparseRates) {
  DynamicsWeights w = without_lateral(example_matrices());
  for (Tensor& forward : w.forward) forward.abs_();
  w.forward[0].mul_(5);
  w.backward[1].abs_();
  const std::vector<RateDomain> sparse(2, RateDomain::Sparse);
  DynamicsSettings d{.eta = 0.02, .multiplier_hidden = 0, .multiplier_output = 0};
  const SettledRates loose(w, d, sparse, example_inputs(), 20000);
  EXPECT_GT(loose.state.layer[0].sum(1).max().item<double>(), 1.5);
  EXPECT_EQ(largest(loose.state.mu[0]), 0);
  d.multiplier_hidden = d.multiplier_output = 0.01;
  const SettledRates held(w, d, sparse, example_inputs(), 20000);
  EXPECT_LT(held.state.layer[0].sum(1).max().item<double>(), 1 + 1e-6);
  EXPECT_GT(largest(held.state.mu[0]), 0.1);
}

TEST(CorInfoMaxDynamics, WorkedExampleAfterOneAndThirtyIterations) {
  const DynamicsWeights w = example_matrices();
  const SettledRates one(w, kSettings, boxes(), example_inputs(), 1);
  EXPECT_LT(largest(one.state.layer[0] -
                    rows({{0.08554661136122374, 0, 0, 0},
                          {0.11652304575938721, 0.10529342486472869, 0.044542661001040845, 0}})),
            1e-15);
  EXPECT_LT(largest(one.state.layer[1] - rows({{0.000592847461553823, 0}, {0, 0}})), 1e-15);
  const SettledRates thirty(w, kSettings, boxes(), example_inputs(), 30);
  EXPECT_LT(largest(thirty.state.layer[0] -
                    rows({{0.12920611032358773, 0, 0, 0},
                          {0.1753105001394983, 0.1584153834474344, 0.06701503661139506, 0}})),
            1e-15);
  EXPECT_LT(largest(thirty.state.layer[1] - rows({{0.002345033193665719, 0}, {0, 0}})), 1e-15);
}

TEST(CorInfoMaxDynamics, WorkedExampleAfterTenNudgedIterations) {
  SettledRates settled(example_matrices(), kSettings, boxes(), example_inputs(), 4000);
  settled.nudge(1, example_targets(), 10);
  EXPECT_LT(largest(settled.state.layer[0] -
                    rows({{0.15294652291311284, 0.010811172785143493, 0, 0},
                          {0.17889990328575575, 0.15902366076851257, 0.06435610577859556, 0}})),
            1e-14);
  EXPECT_LT(
      largest(settled.state.layer[1] - rows({{0.11408602568307799, 0}, {0, 0.019572643173940307}})),
      1e-14);
}

/// dJ/ds of the objective of section 2 at the rates of a layer, and the membrane's distance times
/// its decay, which it must equal.
void expect_stationary(const SettledRates& settled, const DynamicsWeights& w, const Tensor& x,
                       double beta, const Tensor& y) {
  const DynamicsSettings& d = settled.dynamics.settings();
  const auto& s = settled.state.layer;
  for (size_t k = 0; k < s.size(); ++k) {
    const bool output = k + 1 == s.size();
    const Tensor predicted = at::mm(k ? s[k - 1] : x, w.forward[k].t());
    Tensor q =
        (predicted - s[k]) / d.epsilon + (output ? 1 : 2) * w.gamma * at::mm(s[k], w.lateral[k]);
    q = output ? q - s[k] - beta * (s[k] - y)
               : q + (at::mm(s[k + 1], w.backward[k + 1].t()) - s[k]) / d.epsilon;
    const Tensor inside = s[k].gt(0).logical_and(s[k].lt(1)).to(at::kDouble);
    EXPECT_LT(largest(q * inside), 1e-12) << "layer " << k;
    EXPECT_LE((q * s[k].le(0).to(at::kDouble)).max().item<double>(), 1e-12);
    EXPECT_GE((q * s[k].ge(1).to(at::kDouble)).min().item<double>(), -1e-12);
    const Tensor from_membrane = (settled.state.membrane[k] - s[k]) * settled.dynamics.decay_of(k);
    EXPECT_LT(largest(q - from_membrane), 1e-11) << "layer " << k;
  }
}

TEST(CorInfoMaxDynamics, ItsFixedPointIsStationaryForTheObjective) {
  DynamicsWeights strong = example_matrices();
  strong.forward[0].mul_(12);  // so that some rates are held at 1
  for (const DynamicsWeights& w : {example_matrices(), strong}) {
    SettledRates settled(w, kSettings, boxes(), example_inputs(), 4000);
    expect_stationary(settled, w, example_inputs(), 0, example_targets());
    settled.nudge(1, example_targets(), 4000);
    expect_stationary(settled, w, example_inputs(), 1, example_targets());
  }
  const SettledRates held(strong, kSettings, boxes(), example_inputs(), 4000);
  EXPECT_TRUE(held.state.layer[0].ge(1).any().item<bool>());
}

TEST(CorInfoMaxDynamics, TheFixedPointDoesNotDependOnLeakStepSizeAndOrder) {
  const DynamicsWeights w = deep();
  const SettledRates usual(w, {.epsilon = 0.3, .eta = 0.05}, boxes(4), example_inputs(), 2500);
  for (const double leak : {0.0, 0.2, 1.0})
    for (const double eta : {0.02, 0.08})
      for (const char* order : {"gauss-seidel", "synchronous", "red-black"}) {
        const SettledRates other(
            w, {.epsilon = 0.3, .leak = leak, .eta = eta, .step_rule = "constant", .order = order},
            boxes(4), example_inputs(), 2500);
        EXPECT_LT(largest(usual.state.rates - other.state.rates), 1e-12)
            << leak << " " << eta << " " << order;
      }
}

TEST(CorInfoMaxDynamics, OrdersDifferOnTheirWay) {
  const DynamicsWeights w = deep();
  std::vector<Tensor> found;
  for (const char* order : {"gauss-seidel", "synchronous", "red-black"})
    found.push_back(
        SettledRates(w, {.order = order}, boxes(4), example_inputs(), 3).state.rates.clone());
  EXPECT_GT(largest(found[0] - found[1]), 1e-4);
  EXPECT_GT(largest(found[0] - found[2]), 1e-4);
  EXPECT_GT(largest(found[1] - found[2]), 1e-4);
}

TEST(CorInfoMaxDynamics, LateralDriveWithoutStrengthIsNoLateralDrive) {
  DynamicsWeights w = deep();
  w.gamma = 0;
  const SettledRates with(w, kSettings, boxes(4), example_inputs(), 20);
  const SettledRates without(without_lateral(w), kSettings, boxes(4), example_inputs(), 20);
  EXPECT_LT(largest(with.state.rates - without.state.rates), 1e-15);
}

/// The coupling is a spectral radius: known for a symmetric pair of layers of one unit each.
TEST(CorInfoMaxDynamics, CouplingOfTwoUnits) {
  const DynamicsWeights w{
      .forward = {at::ones({1, 1}, at::kDouble), at::full({1, 1}, .8, at::kDouble)},
      .backward = {Tensor(), at::full({1, 1}, .8, at::kDouble)},
      .lateral = {Tensor(), Tensor()}};
  const SettledRates settled(w, kSettings, boxes(), at::ones({1, 1}, at::kDouble), 1);
  EXPECT_NEAR(settled.dynamics.coupling(), (0.5 + 0.8 / 0.15) / (0.5 + 2 / 0.15), 1e-12);
}

}  // namespace
}  // namespace altprop::testing
