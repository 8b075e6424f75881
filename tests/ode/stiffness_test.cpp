// Whether an equation is stiff: the bound of stability, the estimate of |lambda| h, and what runs
// and errors say of it.
#include "altprop/ode/stiffness.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"
#include "ode/fields.h"

namespace altprop::ode {
namespace {

using testing::plain;

/// Published intervals of stability on the negative real axis (Hairer, Wanner 1996, IV.2, and for
/// dopri5 the 3.3 that its code tests for).
TEST(OdeStiffness, BoundsAreThoseOfTheBook) {
  const std::map<std::string, double> known = {{"euler", 2},      {"midpoint", 2}, {"heun", 2},
                                               {"bosh3", 2.5127}, {"rk4", 2.7853}, {"rk38", 2.7853},
                                               {"dopri5", 3.3066}};
  for (const auto& [name, bound] : known) {
    EXPECT_NEAR(tableau(name).stability_bound(), bound, 2e-3) << name;
    EXPECT_LE(std::abs(tableau(name).stability(-bound + 0.01)), 1) << name;
    EXPECT_GT(std::abs(tableau(name).stability(-bound - 0.01)), 1) << name;
  }
  // One step of a linear equation is R.
  const Field linear = plain([](double, const Tensor& x) { return x * -0.7; });
  for (const std::string& name : tableau_names())
    EXPECT_NEAR(
        take_step(tableau(name), linear, 0, 2, at::ones({1, 1}, at::kDouble), nullptr, false)
            .end.item<double>(),
        tableau(name).stability(-1.4), 1e-12)
        << name;
}

/// Of a linear equation the estimate is |lambda| h itself, of each sample its own.
TEST(OdeStiffness, TheEstimateIsTheEigenvalueOfALinearEquation) {
  for (const std::string& name : tableau_names()) {
    const Tableau& method = tableau(name);
    if (!method.estimates_error()) continue;
    const Tensor rates = at::tensor({-2.0, 5.0, 0.0}, at::kDouble).view({3, 1});
    const Field linear = plain([&](double, const Tensor& x) { return x * -7; });
    const Tensor one = at::ones({1, 1}, at::kDouble);
    const TimeStep step{0, 0.3};
    const std::vector<double> seen = stiffness_of(
        method, step, one, take_step(method, linear, step, one, nullptr, true), &linear);
    EXPECT_NEAR(seen.at(0), 2.1, 1e-9) << name;
    auto each = std::make_shared<SampleSteps>();
    each->batch = 3;
    for (int64_t b = 0; b < 3; ++b) each->add(b, 0, 0.1 * static_cast<double>(b + 1), -1, false);
    const Tensor three = at::ones({3, 1}, at::kDouble);
    each->close(three);
    const TimeStep own = TimeStep::of_samples(each);
    const Field rated = [&](const Moment&, const Tensor& x) { return Evaluation{x * rates}; };
    const std::vector<double> all = stiffness_of(
        method, own, three, take_step(method, rated, own, three, nullptr, true), &rated);
    EXPECT_NEAR(all.at(0), 0.2, 1e-9) << name;
    EXPECT_NEAR(all.at(1), 1.0, 1e-9) << name;
    EXPECT_EQ(all.at(2), 0) << name;
  }
}

/// z' = -rate (z - cos t): smooth, but for large rates stability keeps the steps short.
Costs costs_of(double rate, const std::string& solver, bool per_sample = false) {
  const Field field = [rate](const Moment& at, const Tensor& z) {
    const Tensor cosine = at.each.defined() ? at.each.cos().view({-1, 1})
                                            : at::full({1, 1}, std::cos(at.t), z.options());
    return Evaluation{(z - cosine) * -rate};
  };
  Costs costs;
  integrate(tableau(solver), field, at::zeros({2, 1}, at::kDouble), 0, 5,
            {.rtol = 1e-3, .atol = 1e-5, .per_sample = per_sample}, {}, &costs);
  return costs;
}

TEST(OdeStiffness, IsFoundWhereStabilityKeepsStepsShortAndNotElsewhere) {
  for (const std::string solver : {"dopri5", "dopri8"}) {  // which evaluate f twice at the end
    SCOPED_TRACE(solver);
    EXPECT_EQ(costs_of(2000, solver).stiff, 1);
    EXPECT_EQ(costs_of(2000, solver, true).stiff, 2);
    EXPECT_EQ(costs_of(1, solver).stiff, 0);
    EXPECT_EQ(costs_of(1, solver, true).stiff, 0);
  }
}

TEST(OdeStiffness, AnErrorSaysThatAnImplicitSolverIsNeeded) {
  const Field stiff = plain([](double t, const Tensor& z) { return (z - std::cos(t)) * -1e4; });
  try {
    integrate(tableau("dopri5"), stiff, at::zeros({1, 1}, at::kDouble), 0, 5, {.max_steps = 500},
              {});
    FAIL();
  } catch (const Diverged& error) {
    const std::string said = error.what();
    EXPECT_LT(said.size(), 700u);
    for (const char* part :
         {"after 500 steps", "|lambda| h was about", "of 3.3 that solver 'dopri5'", "stiff",
          "implicit solver, and altprop has none", "raise max-steps"})
      EXPECT_NE(said.find(part), std::string::npos) << said << "\nnot: " << part;
  }
}

}  // namespace
}  // namespace altprop::ode
