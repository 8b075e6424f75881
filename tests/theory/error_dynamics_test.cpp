// What the theory says of the error: its first-order dynamics, the limit of G, the exponential
// decay.
#include <gtest/gtest.h>

#include "altprop/theory/cell.h"
#include "theory/support.h"

namespace altprop::theory {
namespace {

/// max |(e(t+1) - e(t)) / eta + (G + H + lambda I) e + lambda y| at the start of a network, where f
/// is linear in beta, so that decay adds -eta lambda f = -eta lambda (e + y).
double residual(Psi psi, double eta, double lambda, bool with_h = true) {
  const Draws draws = draws_of(psi, {5, 20, 200});
  const Draw d = draws(0);
  HiddenForm network(psi, false, 1, draws);
  const Tensor before = network.error()[0].clone(), g = network.gram()[0];
  const Tensor s = slope(psi, d.x.mm(d.w));
  const Tensor h = d.x.mm(d.x.t()) * s.mm((s * (d.b * d.beta)).t()) / 200;
  network.step(eta, lambda);
  const Tensor change = (network.error()[0] - before) / eta;
  return (change + g.mv(before) + (with_h ? 1.0 : 0.0) * h.mv(before) + lambda * (before + d.y))
      .abs()
      .max()
      .item<double>();
}

TEST(TheoryErrorDynamics, FirstOrderResidualFallsLinearlyInEta) {
  for (Psi psi : {Psi::Tanh, Psi::Sigmoid, Psi::Linear})
    for (double lambda : {0.0, 0.5}) {
      double last = residual(psi, 1e-2, lambda);
      for (double eta : {1e-3, 1e-4, 1e-5}) {
        const double now = residual(psi, eta, lambda);
        EXPECT_NEAR(last / now, 10, psi == Psi::Linear && eta > 5e-4 ? 3 : 1.5)
            << static_cast<int>(psi) << eta;
        last = now;
      }
      EXPECT_GT(residual(psi, 1e-5, lambda, false), 100 * last) << "H plays its part";
    }
}

TEST(TheoryErrorDynamics, GramOfAWideNetworkIsItsExpectation) {
  for (Psi psi : {Psi::Linear, Psi::Relu}) {
    const Draws draws = draws_of(psi, {6, 9, 200000});
    const Tensor g = HiddenForm(psi, false, 1, draws).gram()[0];
    const Tensor limit = *expected_gram(psi, draws(0).x);
    EXPECT_LT(largest_difference(g, limit), 0.02 * limit.abs().max().item<double>());
    EXPECT_GT(limit.abs().min().item<double>(), 0);
  }
  EXPECT_FALSE(expected_gram(Psi::Tanh, at::ones({2, 3}, at::kDouble)).has_value());
}

TEST(TheoryErrorDynamics, WideNetworksConvergeExponentiallyAtTheRateOfTheTheory) {
  CellSettings s;
  s.size = {20, 60, 3200};
  s.repetitions = 10;
  s.eta = 2e-3;
  s.stop = {.steps = 1500, .settle = false};
  const nlohmann::json wide = run_cell(s);
  EXPECT_EQ(wide["bound_held"], 1.0);
  for (int64_t r = 0; r < s.repetitions; ++r) {
    // Late, the slowest direction of G + H is left; H(0) = O(1 / sqrt p).
    const double rate = wide["rate"]["values"][r], gamma = wide["gamma"]["values"][r];
    EXPECT_GT(rate, 0.75 * gamma);
    EXPECT_LT(rate, 1.6 * gamma);
  }
  // One hidden unit is not over-parameterised, and the bound need not hold.
  s.size.width = 1;
  EXPECT_LT(run_cell(s)["bound_held"].get<double>(), 1);
  // With constant decay the error falls more slowly than any exponential.
  s.size.width = 3200;
  s.lambda = 2;
  const nlohmann::json decay = run_cell(s);
  EXPECT_TRUE(decay["bound_held"].is_null());
  EXPECT_GT(decay["loss"]["mean"].get<double>(), 100 * wide["loss"]["mean"].get<double>());
  // With the schedule of the theory the alignment stays and the error goes.
  s.lambda_cutoff = 900;
  s.stop.steps = 3000;
  const nlohmann::json schedule = run_cell(s);
  EXPECT_LT(schedule["loss"]["mean"].get<double>(), 1e-3 * decay["loss"]["mean"].get<double>());
  EXPECT_GT(schedule["alignment"]["mean"].get<double>(), 0.1);
  EXPECT_GT(schedule["alignment"]["mean"].get<double>(),
            5 * wide["alignment"]["mean"].get<double>());
}

}  // namespace
}  // namespace altprop::theory
