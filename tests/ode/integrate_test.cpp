// The stepper: convergence, ends, adaptive steps, and what goes wrong.
#include "altprop/ode/integrate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"
#include "ode/fields.h"

namespace altprop::ode {
namespace {

using testing::plain;

Tensor number(double x) { return at::full({1, 1}, x, at::kDouble); }

/// z' = -2 t z^2, z(0) = 1: z = 1 / (1 + t^2).
const Field kBell = plain([](double t, const Tensor& z) { return -2 * t * z * z; });

double error_after(const Tableau& method, int64_t steps) {
  const Tensor end = integrate(method, kBell, number(1), 0, 1.5, {.steps = steps}, {});
  return std::abs(end.item<double>() - 1 / 3.25);
}

class Convergence : public ::testing::TestWithParam<std::string> {};

TEST_P(Convergence, HalvedStepsDivideTheErrorByTwoToTheOrder) {
  const Tableau& method = tableau(GetParam());
  const int64_t n = method.order() >= 8 ? 8 : method.order() >= 5 ? 16 : 128;
  const double slope = std::log2(error_after(method, n) / error_after(method, 2 * n));
  EXPECT_NEAR(slope, method.order(), method.order() >= 5 ? 1.0 : 0.2);
  EXPECT_LT(error_after(method, 2 * n), method.order() == 1 ? 1e-2 : 1e-4);
}

TEST_P(Convergence, OneStepOfALinearEquationIsTheStabilityPolynomial) {
  // Coefficients times k!, up to the number of stages.
  const std::map<std::string, std::vector<double>> known = {
      {"euler", {1}},
      {"midpoint", {1, 1}},
      {"heun", {1, 1}},
      {"ralston", {1, 1}},
      {"fehlberg2", {1, 1, 0.00583648682}},
      {"bosh3", {1, 1, 1}},
      {"rk4", {1, 1, 1, 1}},
      {"rk38", {1, 1, 1, 1}},
      {"dopri5", {1, 1, 1, 1, 1, 1.2}},
      {"dopri8",
       {1, 1, 1, 1, 1, 1, 1, 1, 0.998692205, 0.8793306921, 0.9735595037, -0.0974583979, 0}}};
  const double z = 0.7;
  double expected = 1, power = 1;
  for (size_t k = 0; k < known.at(GetParam()).size(); ++k) {
    power *= z / static_cast<double>(k + 1);
    expected += known.at(GetParam())[k] * power;
  }
  const Field linear = plain([](double, const Tensor& x) { return x * 0.7; });
  const Tensor end = take_step(tableau(GetParam()), linear, 0, 1, number(1), nullptr, false).end;
  EXPECT_NEAR(end.item<double>(), expected, 1e-11);
}

TEST_P(Convergence, AdaptiveStepsKeepTheToleranceAndEndWhereTheyShould) {
  const Tableau& method = tableau(GetParam());
  if (!method.estimates_error()) {
    EXPECT_THROW(integrate(method, kBell, number(1), 0, 1, {}, {}), UsageError);
    return;
  }
  double error = 1;
  for (const double tolerance : {1e-4, 1e-7}) {
    std::vector<TimeStep> steps;
    Costs costs;
    const Tensor end = integrate(
        method, kBell, number(1), 0, 1.5, {.rtol = tolerance, .atol = tolerance},
        [&](Accepted step) {
          steps.push_back({step.t, step.h});
        },
        &costs);
    const double now = std::abs(end.item<double>() - 1 / 3.25);
    EXPECT_LT(now, 100 * tolerance);
    EXPECT_LT(now, error);
    error = now;
    EXPECT_EQ(costs.accepted, static_cast<int64_t>(steps.size()));
    EXPECT_DOUBLE_EQ(steps.back().t + steps.back().h, 1.5);
    for (size_t i = 1; i < steps.size(); ++i)
      EXPECT_NEAR(steps[i].t, steps[i - 1].t + steps[i - 1].h, 1e-15);
    // The steps as a list give the very same end.
    EXPECT_TRUE(at::equal(end, integrate_along(method, kBell, number(1), steps, {})));
    // k_1 of a method whose last row is the next one's first is not evaluated again.
    const int64_t tried = costs.accepted + costs.rejected;
    const int64_t per_try = method.first_same_as_last() ? method.stages() : method.stages() - 1;
    const int64_t firsts = method.first_same_as_last() ? 1 : costs.accepted;
    EXPECT_EQ(costs.evaluations, 1 + firsts + tried * per_try);
  }
}

TEST_P(Convergence, BackwardsInTimeTheyComeBack) {
  const Tableau& method = tableau(GetParam());
  const StepSizes sizes{.steps = method.estimates_error() ? 0 : 4096, .rtol = 1e-8, .atol = 1e-8};
  const Tensor there = integrate(method, kBell, number(1), 0, 1, sizes, {});
  const Tensor back = integrate(method, kBell, there, 1, 0, sizes, {});
  EXPECT_NEAR(back.item<double>(), 1, method.order() == 1 ? 1e-3 : 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Integrate, Convergence, ::testing::ValuesIn(tableau_names()),
                         [](const auto& info) { return info.param; });

/// The sentence that `integrate` ends with.
std::string sentence(const Field& f, const StepSizes& sizes, double begin = 1) {
  try {
    integrate(tableau("dopri5"), f, number(begin), 0, 2, sizes, {});
  } catch (const Diverged& error) {
    return error.what();
  }
  return "";
}

void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_LT(text.size(), 700u);
}

TEST(Integrate, AStateThatGrowsWithoutBoundEndsInASentenceWithTimeAndStep) {
  // z' = z^2 from 1 reaches infinity at time 1.
  const Field blow_up = plain([](double, const Tensor& z) { return z * z; });
  const std::string adaptive = sentence(blow_up, {});
  EXPECT_FALSE(adaptive.empty());
  expect_in(adaptive, "underflows at time 0.999");
  expect_in(adaptive, "step ");
  const std::string fixed =
      sentence(plain([](double, const Tensor& z) { return z * z * 1e3; }), {.steps = 20});
  expect_in(fixed, "not finite at time");
  const std::string nan =
      sentence(plain([](double t, const Tensor& z) { return z / (t - t); }), {});
  expect_in(nan, "not finite at time 0");
  expect_in(sentence(plain([](double, const Tensor& z) { return z; }), {}, NAN), "not finite");
}

TEST(Integrate, FixedStepsNameTheStepInWhichItBegan) {
  const Field breaks =
      plain([](double t, const Tensor& z) { return t > 0.95 ? z / 0.0 : at::zeros_like(z); });
  expect_in(sentence(breaks, {.steps = 20}), "at time 1, in step 10");
}

TEST(Integrate, TooManySteps) {
  const Field stiff = plain([](double, const Tensor& z) { return -1e5 * z; });
  const std::string said = sentence(stiff, {.max_steps = 50});
  expect_in(said, "after 50 steps");
  expect_in(said, "max-steps");
}

TEST(Integrate, TheFirstStepIsTakenAsGivenAndRejectedIfItIsTooLong) {
  Costs costs;
  std::vector<double> lengths;
  integrate(
      tableau("dopri5"), plain([](double, const Tensor& z) { return -30 * z; }), number(1), 0, 1,
      {.first_step = 0.5}, [&](Accepted step) { lengths.push_back(step.h); }, &costs);
  EXPECT_GT(costs.rejected, 0);
  EXPECT_LT(lengths.front(), 0.5);
  lengths.clear();
  integrate(
      tableau("dopri5"), kBell, number(1), 0, 1, {.first_step = 0.01},
      [&](Accepted step) { lengths.push_back(step.h); }, nullptr);
  EXPECT_EQ(lengths.front(), 0.01);
}

TEST(Integrate, ControllerOfTheBook) {
  EXPECT_EQ(next_factor(0, 5), 10);
  EXPECT_EQ(next_factor(1e-12, 5), 10);
  EXPECT_NEAR(next_factor(0.5, 2), 0.9 / std::sqrt(0.5), 1e-15);
  EXPECT_EQ(next_factor(0.99, 5), 1);  // an accepted step is never followed by a shorter one
  EXPECT_NEAR(next_factor(2, 1), 0.45, 1e-15);
  EXPECT_EQ(next_factor(1e9, 5), 0.2);
}

}  // namespace
}  // namespace altprop::ode
