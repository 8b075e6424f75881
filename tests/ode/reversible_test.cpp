// Runge-Kutta methods as reversible ones: order, steps back, and the gradient that keeps nothing.
#include "altprop/ode/reversible.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/ode/cost.h"
#include "altprop/tensor/memory.h"
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

Reversible reversible(const std::string& name, double coupling) {
  return {std::dynamic_pointer_cast<const Tableau>(scheme(name)), coupling};
}

class ReversibleSteps : public ::testing::TestWithParam<std::string> {};

TEST_P(ReversibleSteps, HaveTheOrderOfTheMethod) {
  const Field bell = plain([](double t, const Tensor& z) { return -2 * t * z * z; });
  const Reversible method = reversible(GetParam(), 0.9);
  const auto error = [&](int64_t n) {
    double most = 0;
    for (const double end : {0.5, 1.0, 1.5, 2.0}) {
      const Tensor x =
          integrate(method, bell, at::ones({1, 1}, at::kDouble), 0, end, {.steps = n}, {});
      most = std::max(most, std::abs(x.item<double>() - 1 / (1 + end * end)));
    }
    return most;
  };
  const int64_t n = method.order() >= 8 ? 4 : method.order() >= 5 ? 16 : 128;
  EXPECT_GT(std::log2(error(n) / error(2 * n)), method.order() - 0.3);
}

TEST_P(ReversibleSteps, AreTakenBack) {
  const Field wave = plain([](double t, const Tensor& z) { return at::sin(z) + t; });
  const Reversible method = reversible(GetParam(), 0.99);
  const Tensor x = draw("x");
  Tensor y = method.carry(x, {});
  const int n = 100;
  const double h = 1.0 / n;
  for (int i = 0; i < n; ++i) y = take_step(method, wave, i * h, h, y, nullptr, false).end;
  for (int i = n; i-- > 0;) {
    const TimeStep step{i * h, h};
    const StageField at_stage = [&](int stage, const Tensor& at) {
      return wave(stage_time(method, step, stage, y), at);
    };
    y = method.invert(at_stage, h, y).begin;
  }
  EXPECT_LE((method.state(y) - x).abs().max().item<double>(), 1e-12);
}

TEST_P(ReversibleSteps, TheBlockKeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  for (const Gradient gradient : {Gradient::Naive, Gradient::Symplectic, Gradient::Mali}) {
    SCOPED_TRACE(gradient_names()[static_cast<size_t>(gradient)]);
    auto block =
        std::make_shared<Block>(testing::timed_mlp(2, 2), Problem{.solver = GetParam(),
                                                                  .end_time = 0.8,
                                                                  .sizes = {.steps = 2},
                                                                  .outputs = {0.3, 0.8},
                                                                  .learnt_time = LearntTime::Square,
                                                                  .coupling = 0.9});
    block->set_gradient(gradient);
    OpCheck(block, {{2, 2}}).run();
  }
}

TEST_P(ReversibleSteps, GradientMethodsAgree) {
  at::NoGradGuard no_grad;
  std::vector<Problem> problems = {{.solver = GetParam(), .sizes = {.steps = 5}, .coupling = 0.99}};
  if (tableau(GetParam()).estimates_error())
    for (const bool per_sample : {false, true})
      problems.push_back({.solver = GetParam(),
                          .sizes = {.rtol = 1e-4, .atol = 1e-6, .per_sample = per_sample},
                          .coupling = 0.99});
  for (const Problem& problem : problems) {
    const auto block = drawn_block(problem);
    const Tensor x = draw("x"), cot = draw("cot");
    const Found naive = pass(*block, Gradient::Naive, x, cot);
    for (const GradientMethod& method :
         {GradientMethod(Gradient::OneCheckpoint), GradientMethod(Gradient::Aca),
          GradientMethod(Gradient::Symplectic), GradientMethod(Gradient::Binomial, 2)})
      testing::expect_same_gradients(pass(*block, method, x, cot), naive, 1e-13);
    const Found back = pass(*block, Gradient::Mali, x, cot);
    testing::expect_same_gradients(back, naive, 1e-11);
    EXPECT_GT(back.record.backward.evaluations, 0);
    for (const Tensor& state : back.record.states) EXPECT_TRUE(!state.defined() || state.numel());
  }
}

INSTANTIATE_TEST_SUITE_P(Reversible, ReversibleSteps, ::testing::ValuesIn(tableau_names()),
                         [](const auto& info) { return info.param; });

/// More steps take no more memory.
TEST(OdeReversible, MemoryDoesNotGrowWithSteps) {
  at::NoGradGuard no_grad;
  memory::install();
  const auto measured = [](int64_t steps) {
    Graph net;
    net.output(net.add(block(testing::timed_mlp(16, 256),
                             {.solver = "rk4", .sizes = {.steps = steps}, .coupling = 0.999}),
                       {net.input({{16}})}, "ode"));
    net.to(at::kCPU, at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    set_gradient(net, Gradient::Mali);
    const Tensor x = Stream(1).at("x").normal({64, 16}, at::kDouble);
    const int64_t out = testing::peak_of_pass(net, x, x);
    EXPECT_LE(out, bytes_of(profiles(net, 64), Gradient::Mali) * 13 / 10);
    return out;
  };
  EXPECT_NEAR(static_cast<double>(measured(40)), static_cast<double>(measured(10)), 8192);
}

TEST(OdeReversible, WhatItIsNotForIsRefused) {
  EXPECT_THROW(drawn_block({.solver = "alf", .coupling = 0.9}), UsageError);
  EXPECT_THROW(drawn_block({.solver = "rk4", .sizes = {.steps = 2}, .coupling = 1.5}), UsageError);
  EXPECT_THROW(drawn_block({.solver = "rk4", .sizes = {.steps = 2}, .coupling = 0.9})
                   ->set_gradient(Gradient::Adjoint),
               UsageError);
}

}  // namespace
}  // namespace altprop::ode
