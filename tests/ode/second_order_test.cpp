// Second derivatives of a solve: the tangents of an ODE block, credited.
#include <ATen/core/grad_mode.h>

#include "altprop/ode/flow_field.h"
#include "altprop/ode/time_gate.h"
#include "network/check_op.h"
#include "network/support.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

/// OpCheck compares jvp_vjp and jvp_accumulate with differences of <cot, J t>.
TEST(SecondOrder, OfSolvesAreThoseOfTheirTangents) {
  at::NoGradGuard no_grad;
  for (const Problem& problem :
       {Problem{.solver = "rk4", .end_time = 0.8, .sizes = {.steps = 2}},
        Problem{.solver = "bosh3", .sizes = {.steps = 2}, .outputs = {0, 0.4, 1}},
        Problem{.solver = "dopri5", .sizes = {.steps = 1}}}) {
    auto block = std::make_shared<Block>(testing::timed_mlp(2, 3), problem);
    block->set_gradient(Gradient::Naive);
    ASSERT_TRUE(block->has_jvp_vjp());
    check_op(block, {{2, 2}});
  }
}

TEST(SecondOrder, OtherGradientMethodsRefuse) {
  at::NoGradGuard no_grad;
  for (const Gradient gradient : {Gradient::Aca, Gradient::Symplectic, Gradient::OneCheckpoint,
                                  Gradient::Binomial, Gradient::Adjoint}) {
    Block block(testing::timed_mlp(2, 3), {.solver = "rk4", .sizes = {.steps = 2}});
    block.set_gradient(gradient);
    EXPECT_FALSE(block.has_jvp_vjp());
    const std::string why = test::message_of([&] {
      block.jvp_accumulate({}, std::vector<Tensor>(1), {}, 1, *std::make_unique<Gradients>());
    });
    EXPECT_TRUE(test::contains(why, "ode.gradient=naive")) << why;
  }
}

/// A flow whose velocity is itself made by a solve.
TEST(SecondOrder, AFlowThroughASolve) {
  at::NoGradGuard no_grad;
  const auto velocity = [](Gradient gradient) {
    auto g = std::make_shared<Graph>();
    auto inner = std::make_shared<Block>(testing::timed_mlp(2, 3),
                                         Problem{.solver = "midpoint", .sizes = {.steps = 2}});
    inner->set_gradient(gradient);
    g->output(g->add(inner, {g->input({{2}}, "z")}, "inner"));
    return flow_field(g);
  };
  check_op(velocity(Gradient::Naive), {{2, 3}}, {.along_parameters = false});
  Graph net;
  const std::string why = test::message_of(
      [&] { net.add(velocity(Gradient::Symplectic), {net.input({{3}})}, "flow"); });
  EXPECT_TRUE(test::contains(why, "'inner' (ode)")) << why;
}

}  // namespace
}  // namespace altprop::ode
