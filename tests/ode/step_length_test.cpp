// Steps of a fixed length, and how steps go on behind an output.
#include <ATen/core/grad_mode.h>

#include "altprop/ode/cost.h"
#include "altprop/ode/odeint.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;
using testing::drawn_block;
using testing::Found;
using testing::pass;

std::vector<double> lengths_of(const Found& found) {
  std::vector<double> out;
  for (const TimeStep& step : found.record.steps) out.push_back(step.h);
  return out;
}

TEST(OdeStepLength, TheLastStepOfEveryStretchIsShorter) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block(
      {.solver = "rk4", .sizes = {.step = 0.3}, .outputs = {0.4, 1}, .jumps = {0.7}});
  const Tensor cot = at::stack({draw("a"), draw("b")}, 1);
  const Found found = pass(*block, Gradient::Naive, draw("x"), cot);
  const std::vector<double> expected = {0.3, 0.1, 0.3, 0.3};
  const std::vector<double> lengths = lengths_of(found);
  ASSERT_EQ(lengths.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(lengths[i], expected[i], 1e-15) << i;
  EXPECT_EQ(block->equal_steps(), 4);
  for (const Gradient gradient : testing::kExact)
    testing::expect_same_gradients(pass(*block, gradient, draw("x"), cot), found, 1e-14);
}

/// 2.1 / 0.3 is a little more than 7, and 0.3 / 0.1 a little less than 3.
TEST(OdeStepLength, RoundingMakesNoStepOfItsOwn) {
  const StepSizes tenth{.step = 0.1}, third{.step = 0.3};
  EXPECT_EQ(third.count(2.1), 7);
  EXPECT_EQ(tenth.count(-0.3), 3);
  EXPECT_EQ(tenth.count(0.25), 3);
  EXPECT_EQ(tenth.count(0.01), 1);
  EXPECT_NEAR(third.length(2.1, 6), 0.3, 1e-15);
  EXPECT_EQ(tenth.length(-0.25, 0), -0.1);
  EXPECT_NEAR(tenth.length(-0.25, 2), -0.05, 1e-16);
  EXPECT_EQ(tenth.length(0.01, 0), 0.01);
}

TEST(OdeStepLength, ThatDividesTheWayIsANumberOfSteps) {
  at::NoGradGuard no_grad;
  const auto by_length = drawn_block({.solver = "rk4", .sizes = {.step = 0.25}}),
             by_number = drawn_block({.solver = "rk4", .sizes = {.steps = 4}});
  for (const Gradient gradient : {Gradient::Symplectic, Gradient::Adjoint}) {
    const Found a = pass(*by_length, gradient, draw("x"), draw("cot")),
                b = pass(*by_number, gradient, draw("x"), draw("cot"));
    EXPECT_TRUE(at::equal(a.out, b.out));
    EXPECT_TRUE(at::equal(a.of_input, b.of_input));
    for (size_t i = 0; i < a.of_params.size(); ++i)
      EXPECT_TRUE(at::equal(a.of_params[i], b.of_params[i]));
  }
}

/// The adjoint's integral of parameters is by the weights of its own steps, the short one among
/// them: wrong by the order of the method, and by nothing more.
TEST(OdeStepLength, TheAdjointKnowsItsShortStep) {
  at::NoGradGuard no_grad;
  std::vector<double> errors;
  for (const double step : {0.03, 0.015}) {
    const auto block = drawn_block({.solver = "rk4", .sizes = {.step = step}});
    const Found exact = pass(*block, Gradient::Symplectic, draw("x"), draw("cot")),
                found = pass(*block, Gradient::Adjoint, draw("x"), draw("cot"));
    errors.push_back(apart(found.of_params[0], exact.of_params[0]));
  }
  EXPECT_LT(errors[0], 1e-6);
  EXPECT_NEAR(std::log2(errors[0] / errors[1]), 4, 0.5);
}

TEST(OdeStepLength, OfEveryWayOfSolving) {
  at::NoGradGuard no_grad;
  const auto f = ode::function(
      {.value = [](const Tensor&, const Tensor& x, auto) { return -x; }, .params = {}}, {1});
  const Tensor x0 = at::ones({2, 1}, at::kDouble);
  const OdeintOptions options{.solver = "rk4", .sizes = {.step = 0.4}};
  const auto end = [&](const std::vector<double>& times) {
    return odeint(f, x0, times, options).outputs[0][1].item<double>();
  };
  EXPECT_NEAR(end({0, 1}), std::exp(-1), 1e-3);
  EXPECT_NEAR(end({1, 0}), std::exp(1), 1e-3);
  const Tensor times = at::tensor({0.0, 1.0, 0.0, 0.5}, at::kDouble).view({2, 2});
  const Tensor each = odeint(f, x0, times, options).outputs;
  EXPECT_NEAR(each[0][1].item<double>(), std::exp(-1), 1e-3);
  EXPECT_NEAR(each[1][1].item<double>(), std::exp(-0.5), 1e-4);
  Graph net;
  net.output(
      net.add(drawn_block({.solver = "rk4", .sizes = {.step = 0.3}}), {net.input({{3}})}, "ode"));
  const Profile profile = profiles(net, 2).at(0);
  EXPECT_EQ(profile.steps, 4);
  EXPECT_FALSE(profile.is_adaptive());
}

/// An output right behind the begin cuts the first step. By default the next one is what it would
/// have been; as others have it, it grows from the cut one, by ten at most.
TEST(OdeStepLength, ReferenceStepsGrowFromTheOneThatWasCut) {
  at::NoGradGuard no_grad;
  const auto second = [](bool reference, bool each) {
    const auto block = drawn_block({.sizes = {.rtol = 1e-3,
                                              .atol = 1e-3,
                                              .first_step = 0.2,
                                              .per_sample = each,
                                              .reference_steps = reference},
                                    .outputs = {1e-3, 1}});
    const Found found =
        pass(*block, Gradient::Symplectic, draw("x"), at::zeros({4, 2, 3}, at::kDouble));
    const TimeStep& step = found.record.steps.at(1);
    return each ? step.each->h.at(0) : step.h;
  };
  for (const bool each : {false, true}) {
    EXPECT_GE(second(false, each), 0.2);
    EXPECT_NEAR(second(true, each), 1e-2, 1e-12);
  }
}

}  // namespace
}  // namespace altprop::ode
