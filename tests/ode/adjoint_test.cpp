// The continuous adjoint: wrong by the order of the method and by the tolerance, and not by more.
#include <ATen/core/grad_mode.h>

#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;
using testing::drawn_block;
using testing::Found;
using testing::pass;

/// The fixture of the exact methods with L = (x(1) - 1)^2 / 2, x not set back on the way: the
/// relative error of credit and gradient together, and its slope, as they were measured elsewhere.
TEST(OdeAdjoint, IsWrongByTheOrderOfTheMethod) {
  at::NoGradGuard no_grad;
  struct Known {
    std::string solver;
    double four, sixty_four;  ///< errors with that many steps
  };
  for (const auto& [solver, four, sixty_four] :
       {Known{"euler", 2.75e-1, 1.71e-2}, Known{"midpoint", 7.15e-3, 3.17e-5},
        Known{"bosh3", 3.01e-4, 7.56e-8}, Known{"rk4", 2.30e-5, 3.84e-10},
        Known{"dopri5", 1.35e-7, 8.2e-14}}) {
    SCOPED_TRACE(solver);
    std::vector<double> errors;
    for (const int64_t n : {4, 8, 16, 32, 64}) {
      Block block(testing::fixture_field(), {.solver = solver, .sizes = {.steps = n}});
      const Tensor x = at::full({1, 1}, 0.8, at::kDouble);
      Saved saved;
      const Tensor cot = block.forward(std::vector<Tensor>{x}, saved, {Mode::Train}) - 1;
      const Found exact = pass(block, Gradient::Symplectic, x, cot),
                  found = pass(block, Gradient::Adjoint, x, cot);
      EXPECT_TRUE(at::equal(exact.out, found.out));
      const auto all = [](const Found& one) {
        return at::cat({one.of_input, one.of_params[0]}, 1);
      };
      errors.push_back(apart(all(found), all(exact)));
    }
    EXPECT_NEAR(errors[0] / four, 1, 0.01);
    EXPECT_NEAR(errors[4] / sixty_four, 1, solver == "dopri5" ? 0.1 : 0.01);
    const int order = tableau(solver).order();
    for (const size_t i : {3, 4})
      EXPECT_NEAR(std::log2(errors[i - 1] / errors[i]), order, 0.15) << i;
  }
}

TEST(OdeAdjoint, FollowsItsTolerance) {
  at::NoGradGuard no_grad;
  double before = 1;
  for (const double tolerance : {1e-3, 1e-5, 1e-8}) {
    const auto block = drawn_block({.sizes = {.rtol = tolerance, .atol = tolerance}});
    const Found exact = pass(*block, Gradient::Symplectic, draw("x"), draw("cot")),
                found = pass(*block, Gradient::Adjoint, draw("x"), draw("cot"));
    const double error = apart(found.of_params[0], exact.of_params[0]);
    EXPECT_LT(error, 30 * tolerance);
    EXPECT_LT(error, before);
    before = error;
  }
}

/// rk4 forwards and backwards through z' = theta z multiplies by (1 + z^6/72 + z^8/576) a step.
TEST(OdeAdjoint, DriftsWhereTheEquationContracts) {
  at::NoGradGuard no_grad;
  auto f = std::make_shared<Graph>();
  f->output(f->add(linear(1, false), {f->input({{1}}, "z")}, "map"));
  f->params()[0]->value = at::full({1, 1}, -20.0, at::kDouble);
  const StepSizes sizes{.steps = 40};
  const Field field = field_of(*f, {}, false);
  const Tensor there =
      integrate(tableau("rk4"), field, at::ones({1, 1}, at::kDouble), 0, 1, sizes, {});
  const Tensor back = integrate(tableau("rk4"), field, there, 1, 0, sizes, {});
  const double z = -0.5;
  EXPECT_NEAR(back.item<double>(), std::pow(1 + std::pow(z, 6) / 72 + std::pow(z, 8) / 576, 40),
              1e-10);
}

// ---- its own steps ----

TEST(OdeAdjoint, MayHaveTolerancesOfItsOwn) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block({.sizes = {.rtol = 1e-9, .atol = 1e-9}});
  const Found exact = pass(*block, Gradient::Symplectic, draw("x"), draw("cot"));
  const auto evaluations_and_error = [&](const AdjointSteps& steps) {
    const Found found = pass(*block, {Gradient::Adjoint, 0, 0, steps}, draw("x"), draw("cot"));
    EXPECT_TRUE(at::equal(found.out, exact.out)) << "forwards they are the block's";
    return std::pair(found.record.backward.evaluations,
                     apart(found.of_params[0], exact.of_params[0]));
  };
  const auto [usual, small] = evaluations_and_error({});
  const auto [fewer, larger] = evaluations_and_error({.rtol = 1e-3, .atol = 1e-3});
  EXPECT_LT(2 * fewer, usual);
  EXPECT_GT(larger, 100 * small);
  // Each of them counts.
  EXPECT_LT(evaluations_and_error({.rtol = 1e-3}).first, usual);
  EXPECT_LT(evaluations_and_error({.atol = 1e-3}).first, usual);
  EXPECT_EQ(evaluations_and_error({.rtol = 1e-9, .atol = 1e-9}).first, usual);
}

/// Where the gradient alone is hard to integrate, steps go by its error only if they are told to.
/// With f = w sin(20 t) credit stands still, and the gradient is the integral of sin(20 t).
TEST(OdeAdjoint, LooksAtTheErrorOfTheGradientIfItIsTold) {
  at::NoGradGuard no_grad;
  const OpPtr map = linear(1, false);
  Block block(testing::one_dimensional(
                  [](const Tensor& t, const Tensor& z) { return at::sin(20 * t) + 0 * z; }, map),
              {.sizes = {.rtol = 1e-6, .atol = 1e-6}});
  map->params()[0]->value = at::full({1, 1}, 1e-4, at::kDouble);  // the state hardly moves
  const Tensor x = at::ones({1, 1}, at::kDouble);
  const double exact = (1 - std::cos(20)) / 20;
  const auto found = [&](bool seminorm) {
    const Found one = pass(block, {Gradient::Adjoint, 0, 0, {.seminorm = seminorm}}, x, x);
    return std::pair(one.record.backward.accepted,
                     std::abs(one.of_params[0].item<double>() - exact));
  };
  const auto [few, large] = found(true);
  const auto [many, small] = found(false);
  EXPECT_LT(few, many);
  EXPECT_GT(large, 1e-4);
  EXPECT_LT(small, 1e-5);
}

/// A norm over parts is the largest of theirs, and not a number where one of them is none.
TEST(OdeAdjoint, NormsOfPartsAreNotMixed) {
  const StepSizes sizes{.rtol = 0, .atol = 2, .parts = {3, 1}};
  const Tensor value = at::tensor({2.0, 2.0, 2.0, 6.0}, at::kDouble);
  EXPECT_NEAR(scaled_norms(value, value, sizes).at(0), 3, 1e-15);
  value[3] = 0.5;
  EXPECT_NEAR(scaled_norms(value, value, sizes).at(0), 1, 1e-15);
  for (const int64_t i : {0, 3}) {
    const Tensor broken = value.clone();
    broken[i] = NAN;
    EXPECT_TRUE(std::isnan(scaled_norms(broken, broken, sizes).at(0))) << i;
  }
}

TEST(OdeAdjoint, OptionsWithoutEffectAreRefused) {
  const AdjointSteps own{.rtol = 1e-4};
  EXPECT_NE(testing::sentence_of_error([&] { gradient_method("aca", 0, 0, own); })
                .find("'ode.adjoint-rtol' has no effect with ode.gradient=aca"),
            std::string::npos);
  EXPECT_NE(testing::sentence_of_error([] { gradient_method("mali", 0, 0, {.seminorm = false}); })
                .find("ode.adjoint-seminorm"),
            std::string::npos);
  const auto equal = drawn_block({.solver = "rk4", .sizes = {.steps = 2}});
  EXPECT_NE(testing::sentence_of_error([&] { equal->set_gradient({Gradient::Adjoint, 0, 0, own}); })
                .find("all steps are equal"),
            std::string::npos);
  EXPECT_EQ(GradientMethod(Gradient::Adjoint, 0, 0, {.rtol = 1e-4, .seminorm = false}).text(),
            "adjoint, rtol 1e-04, by the gradient too");
}

}  // namespace
}  // namespace altprop::ode
