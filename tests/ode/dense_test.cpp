// Outputs between the ends of steps: their order, their derivatives, and that the steps do not
// mind.
#include "altprop/ode/dense.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/base/error.h"
#include "network/check_op.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;
using testing::drawn_block;
using testing::Found;
using testing::pass;
using testing::plain;

class DenseOutput : public ::testing::TestWithParam<std::string> {};

/// At the ends the polynomial has the states and slopes of both, and of dopri5 the state at the
/// middle.
TEST_P(DenseOutput, MeetsTheEndsOfTheStep) {
  const Tableau& method = tableau(GetParam());
  const auto s = static_cast<size_t>(method.stages());
  const std::vector<double> begin = method.between(0), end = method.between(1),
                            rate0 = method.between_rate(0), rate1 = method.between_rate(1);
  ASSERT_EQ(end.size(), s + 1);
  for (size_t i = 0; i <= s; ++i) {
    EXPECT_EQ(begin[i], 0);
    EXPECT_NEAR(end[i], i < s ? method.b(static_cast<int>(i)) : 0, 1e-15) << i;
    EXPECT_NEAR(rate0[i], i == 0 ? 1 : 0, 1e-15) << i;
    EXPECT_NEAR(rate1[i], i == s ? 1 : 0, 1e-13) << i;
    const double rise = (method.between(0.3 + 1e-6)[i] - method.between(0.3 - 1e-6)[i]) / 2e-6;
    EXPECT_NEAR(method.between_rate(0.3)[i], rise, 1e-8) << i;
    const std::vector<Fraction>& middle = method.text().middle;
    if (middle.empty()) continue;
    EXPECT_NEAR(method.between(0.5)[i], static_cast<double>(middle[i].value()), 1e-15) << i;
  }
}

/// z' = -2 t z^2, z = 1 / (1 + t^2), read within each of n steps: the largest error falls as the
/// polynomial's, h^4 of the cubic and h^5 of dopri5's, or as the method's where that is less.
TEST_P(DenseOutput, HasTheOrderOfItsPolynomial) {
  at::NoGradGuard no_grad;
  const OpPtr map = linear(1, false);
  const auto f = testing::one_dimensional(
      [](const Tensor& t, const Tensor& z) { return -2 * t * z * z; }, map);
  map->params()[0]->value = at::ones({1, 1}, at::kDouble);
  const auto error = [&](int64_t n) {
    std::vector<double> times;
    for (int64_t i = 0; i < n; ++i)
      for (const double theta : {0.13, 0.31, 0.5, 0.71, 0.9})
        times.push_back(1.5 * (static_cast<double>(i) + theta) / static_cast<double>(n));
    times.push_back(1.5);
    Block block(f, {.solver = GetParam(),
                    .end_time = 1.5,
                    .sizes = {.steps = n},
                    .outputs = times,
                    .interpolate = true});
    Saved saved;
    const Tensor out = block.forward(std::vector<Tensor>{at::ones({1, 1}, at::kDouble)}, saved, {}),
                 t = at::tensor(times, at::kDouble);
    EXPECT_EQ(static_cast<int64_t>(Block::record(saved).steps.size()), n);
    return (out.reshape({-1}) - 1 / (1 + t * t)).abs().max().item<double>();
  };
  const int order = std::min(tableau(GetParam()).order(), GetParam() == "dopri5" ? 5 : 4);
  EXPECT_NEAR(std::log2(error(32) / error(64)), order, 0.45);
}

/// OpCheck compares every derivative with central differences, that of T among them.
TEST_P(DenseOutput, KeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  for (const Gradient gradient : testing::kExact) {
    SCOPED_TRACE(gradient_names()[static_cast<size_t>(gradient)]);
    auto block =
        std::make_shared<Block>(testing::timed_mlp(2, 2), Problem{.solver = GetParam(),
                                                                  .end_time = 1.2,
                                                                  .sizes = {.steps = 2},
                                                                  .outputs = {0.25, 0.5, 0.9, 1.2},
                                                                  .jumps = {0.7},
                                                                  .learnt_time = LearntTime::Square,
                                                                  .interpolate = true});
    block->set_gradient(gradient);
    OpCheck(block, {{2, 2}}).run();
  }
}

INSTANTIATE_TEST_SUITE_P(Dense, DenseOutput, ::testing::ValuesIn(tableau_names()),
                         [](const auto& info) { return info.param; });

TEST(OdeDense, StepsDoNotMindAndOutputsAreThoseOfSteps) {
  at::NoGradGuard no_grad;
  const StepSizes sizes{.rtol = 1e-8, .atol = 1e-8};
  const Tensor x = draw("x");
  for (const std::string solver : {"dopri5", "bosh3", "heun"}) {
    const auto alone = drawn_block({.solver = solver, .end_time = 2, .sizes = sizes}),
               cut = drawn_block({.solver = solver,
                                  .end_time = 2,
                                  .sizes = sizes,
                                  .outputs = {0, 0.31, 0.32, 1.1, 2}}),
               dense = drawn_block({.solver = solver,
                                    .end_time = 2,
                                    .sizes = sizes,
                                    .outputs = {0, 0.31, 0.32, 1.1, 2},
                                    .interpolate = true});
    Saved a, b, c;
    const Tensor end = alone->forward(std::vector<Tensor>{x}, a, {Mode::Train}),
                 steps = cut->forward(std::vector<Tensor>{x}, b, {Mode::Train}),
                 read = dense->forward(std::vector<Tensor>{x}, c, {Mode::Train});
    EXPECT_TRUE(at::equal(read.select(1, 4), end));
    EXPECT_EQ(Block::record(a).steps.size(), Block::record(c).steps.size());
    EXPECT_LT(Block::record(c).steps.size(), Block::record(b).steps.size());
    EXPECT_LE(apart(read, steps), 1e-6) << solver;
  }
}

TEST(OdeDense, GradientMethodsAgreeAlsoOfTimes) {
  at::NoGradGuard no_grad;
  const Tensor x = draw("x"), cot = draw("cot", {4, 4, 3});
  for (const bool per_sample : {false, true}) {
    const auto block = drawn_block({.sizes = {.rtol = 1e-5, .atol = 1e-6, .per_sample = per_sample},
                                    .outputs = {0.2, 0.3, 0.7, 1},
                                    .interpolate = true});
    block->set_time_credits(true);
    const Found naive = pass(*block, Gradient::Naive, x, cot);
    const std::vector<double> times = credits_of_output_times(naive.record);
    ASSERT_EQ(times.size(), 5u);
    for (const GradientMethod& method :
         {GradientMethod(Gradient::OneCheckpoint), GradientMethod(Gradient::Aca),
          GradientMethod(Gradient::Symplectic), GradientMethod(Gradient::Symplectic, 0, 3),
          GradientMethod(Gradient::Binomial, 2)}) {
      SCOPED_TRACE(method.text());
      const Found found = pass(*block, method, x, cot);
      EXPECT_TRUE(at::equal(found.out, naive.out));
      testing::expect_same_gradients(found, naive, 1e-13);
      const std::vector<double> other = credits_of_output_times(found.record);
      for (size_t i = 0; i < times.size(); ++i) EXPECT_NEAR(other[i], times[i], 1e-12);
    }
    if (per_sample) continue;
    const Found adjoint = pass(*block, Gradient::Adjoint, x, cot);
    testing::expect_same_gradients(adjoint, naive, 1e-2);
    // The credit of an output's time is what the state moves by there.
    const Field f = field_of(*block->parts(), {}, false);
    for (int64_t k = 0; k < 3; ++k) {
      const double at = std::vector<double>{0.2, 0.3, 0.7}[static_cast<size_t>(k)];
      EXPECT_NEAR(times[static_cast<size_t>(k) + 1],
                  dot_product(f(at, naive.out.select(1, k)).slope, cot.select(1, k)), 1e-3);
    }
  }
}

TEST(OdeDense, OfSamplesWithStepsOfTheirOwn) {
  at::NoGradGuard no_grad;
  Problem problem{.end_time = 1.5,
                  .sizes = {.rtol = 1e-4, .atol = 1e-5, .per_sample = true},
                  .outputs = {0.2, 0.3, 0.7, 1.5},
                  .interpolate = true};
  const auto batch = drawn_block(problem);
  problem.sizes.per_sample = false;
  const auto single = drawn_block(problem);
  batch->set_time_credits(true);
  single->set_time_credits(true);
  const Tensor x = draw("x") * at::tensor({0.1, 9.0, 1.0, 3.0}, at::kDouble).view({4, 1}),
               cot = draw("cot", {4, 4, 3}), tangent = draw("tangent");
  const Found all = pass(*batch, Gradient::Symplectic, x, cot);
  const Tensor times = credits_of_sample_times(all.record);
  for (int64_t b = 0; b < 4; ++b) {
    const Found one = pass(*single, Gradient::Symplectic, x.narrow(0, b, 1), cot.narrow(0, b, 1));
    EXPECT_LE(apart(all.out.narrow(0, b, 1), one.out), 1e-13);
    EXPECT_LE(apart(all.of_input.narrow(0, b, 1), one.of_input), 1e-13);
    const std::vector<double> alone = credits_of_output_times(one.record);
    for (int64_t k = 0; k < 5; ++k)
      EXPECT_NEAR(times[b][k].item<double>(), alone[static_cast<size_t>(k)], 1e-10);
  }
  Saved saved;
  batch->forward(std::vector<Tensor>{x}, saved, {Mode::Train});
  const double forward = dot_product(cot, batch->jvp(saved, tangent, 0));
  EXPECT_NEAR(forward, dot_product(batch->vjp(saved, cot, 0, nullptr), tangent),
              1e-12 * std::abs(forward));
}

TEST(OdeDense, WhatKnowsNothingBetweenIsRefused) {
  EXPECT_THROW(drawn_block({.solver = "alf", .outputs = {0.5, 1}, .interpolate = true}),
               UsageError);
  EXPECT_THROW(drawn_block({.solver = "rk4",
                            .sizes = {.steps = 2},
                            .outputs = {0.5, 1},
                            .coupling = 0.9,
                            .interpolate = true}),
               UsageError);
}

}  // namespace
}  // namespace altprop::ode
