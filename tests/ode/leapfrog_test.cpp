// The asynchronous leapfrog and the gradient that takes its steps back (MALI).
#include "altprop/ode/leapfrog.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/ode/cost.h"
#include "network/check_op.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::draw;
using testing::drawn_block;
using testing::expect_same_gradients;
using testing::Found;
using testing::pass;
using testing::plain;

const Field kWave = plain([](double t, const Tensor& z) { return at::sin(z) + t; });

TEST(Leapfrog, IsOfSecondOrderWithoutDamping) {
  const Tensor x = at::full({1, 1}, 0.4, at::kDouble);
  const Tensor truth = integrate(tableau("dopri8"), kWave, x, 0, 1, {.steps = 64}, {});
  const auto error = [&](int64_t n, double eta) {
    return (integrate(Leapfrog(eta), kWave, x, 0, 1, {.steps = n}, {}) - truth)
        .abs()
        .item<double>();
  };
  EXPECT_NEAR(std::log2(error(64, 1) / error(128, 1)), 2, 0.1);
  EXPECT_GT(error(64, 0.8), 0);
}

TEST(Leapfrog, StepsAreTakenBack) {
  const Tensor x = draw("x"), v = kWave(0, x).slope;
  for (const auto& [eta, n, most] :
       std::vector<std::tuple<double, int, double>>{{1.0, 1000, 1e-13}, {0.9, 20, 1e-12}}) {
    const Leapfrog method(eta);
    Tensor y = method.carry(x, v);
    const double h = 1.0 / n;
    for (int i = 0; i < n; ++i) y = take_step(method, kWave, i * h, h, y, nullptr, false).end;
    for (int i = n; i-- > 0;) {
      const StageField at_stage = [&](int, const Tensor& k) { return kWave(i * h + h / 2, k); };
      y = method.invert(at_stage, h, y).begin;
    }
    EXPECT_LE((method.state(y) - x).abs().max().item<double>(), most) << eta;
  }
}

/// Each step back multiplies an error of the velocity by 1 / |1 - 2 eta|.
TEST(Leapfrog, DampingLosesDigitsOnTheWayBack) {
  EXPECT_NEAR(Leapfrog(0.9).growth_of_inverse(), 1 / 0.8, 1e-14);
  EXPECT_EQ(Leapfrog(1).growth_of_inverse(), 1);
  EXPECT_THROW(Leapfrog(0.5), UsageError);
  EXPECT_THROW(Leapfrog(1.1), UsageError);
}

TEST(Leapfrog, TheBlockKeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  for (const double eta : {1.0, 0.9})
    for (const Gradient gradient : {Gradient::Mali, Gradient::Naive, Gradient::Aca}) {
      auto block = std::make_shared<Block>(
          testing::timed_mlp(2, 2),
          Problem{.solver = "alf", .end_time = 0.8, .sizes = {.steps = 3}, .eta = eta});
      block->set_gradient(gradient);
      OpCheck(block, {{2, 2}}).run();
    }
}

TEST(Leapfrog, AllExactMethodsAgreeAndMaliTakesOneEvaluationAStep) {
  at::NoGradGuard no_grad;
  const Tensor x = draw("x"), cot = draw("cot");
  for (const StepSizes& sizes : {StepSizes{.steps = 12}, StepSizes{.rtol = 1e-4, .atol = 1e-4}}) {
    const auto block = drawn_block({.solver = "alf", .sizes = sizes});
    const Found naive = pass(*block, Gradient::Naive, x, cot);
    const int64_t n = naive.record.forward.accepted;
    ASSERT_GT(n, 4);
    for (const Gradient gradient : testing::kExact)
      expect_same_gradients(pass(*block, gradient, x, cot), naive, 1e-14);
    const Found mali = pass(*block, Gradient::Mali, x, cot);
    expect_same_gradients(mali, naive, 1e-12);
    EXPECT_EQ(mali.record.backward.evaluations, n + 1);
  }
}

/// Of 100 steps there and back: 2e-6 with 0.9 elsewhere, and 3e6 with 0.8.
TEST(Leapfrog, HowManyDigitsAreLostIsKnownBefore) {
  const Tensor x = draw("x"), v = kWave(0, x).slope;
  const auto error = [&](double eta) {
    const Leapfrog method(eta);
    Tensor y = method.carry(x, v);
    for (int i = 0; i < 100; ++i)
      y = take_step(method, kWave, i * 0.01, 0.01, y, nullptr, false).end;
    for (int i = 100; i-- > 0;)
      y = method
              .invert([&](int, const Tensor& k) { return kWave(i * 0.01 + 0.005, k); }, 0.01, y)
              .begin;
    return (method.state(y) - x).abs().max().item<double>();
  };
  EXPECT_LE(error(1), 1e-13);
  EXPECT_GT(error(0.9), 1e-9);
  EXPECT_LT(error(0.9), 1e-4);
  EXPECT_GT(error(0.8), 1e3);
  // A warning comes where |1 / (2 eta - 1)|^N eps is above 1e-4.
  Graph net;
  net.output(net.add(linear(1), {net.input({{1}})}, "any"));
  net.to(at::kCPU, at::kDouble);
  const auto warned = [&](double eta, int64_t steps) {
    const std::vector<Profile> one = {
        {.name = "ode1",
         .steps = steps,
         .inverts = true,
         .growth_of_inverse = Leapfrog(eta).growth_of_inverse()}};
    const auto said = warnings_of(one, net, Gradient::Mali, nullptr);
    return said.empty() ? "" : said.at(0);
  };
  EXPECT_EQ(warned(1, 1'000'000), "");
  EXPECT_EQ(warned(0.9, 100), "");
  EXPECT_EQ(warned(0.9, 123), "");  // 1.25^123 1.1e-16 = 9.1e-5
  for (const auto& [eta, steps] : {std::pair(0.9, 124), std::pair(0.8, 100)}) {
    const std::string said = warned(eta, steps);
    for (const std::string part : {"block 'ode1'", "damping eta", "ode.gradient=symplectic"})
      EXPECT_NE(said.find(part), std::string::npos) << said;
  }
  EXPECT_NE(warned(0.8, 100).find("more than the state itself"), std::string::npos);
}

TEST(Leapfrog, AGradientOfLostDigitsIsAnErrorAndForeseen) {
  at::NoGradGuard no_grad;
  const Problem problem{.solver = "alf", .sizes = {.steps = 100}, .eta = 0.75};
  const auto block = drawn_block(problem);
  try {
    pass(*block, Gradient::Mali, draw("x"), draw("cot"));
    FAIL();
  } catch (const Diverged& error) {
    EXPECT_NE(std::string(error.what()).find("steps backwards"), std::string::npos) << error.what();
  }
  Graph net;
  net.output(net.add(block, {net.input({{3}})}, "ode2"));
  const std::vector<Profile> seen = profiles(net, 4);
  EXPECT_EQ(warnings_of(seen, net, Gradient::Mali, nullptr).size(), 1u);
  EXPECT_EQ(warnings_of(seen, net, Gradient::Symplectic, nullptr).size(), 0u);
}

TEST(Leapfrog, TheContinuousAdjointIsForRungeKuttaMethods) {
  EXPECT_THROW(drawn_block({.solver = "alf"})->set_gradient(Gradient::Adjoint), UsageError);
  EXPECT_THROW(drawn_block({.solver = "dopri5", .eta = 0.9}), UsageError);
}

}  // namespace
}  // namespace altprop::ode
