// The instrument that compares credit inside of ODE blocks, by step and stage.
#include "altprop/probes/ode_credit.h"

#include <ATen/core/grad_mode.h>

#include "altprop/network/architecture.h"
#include "ode/fields.h"
#include "rules/pathways.h"

namespace altprop::ode {
namespace {

Graph net_with_block(const Problem& problem) {
  Graph net;
  auto f = std::make_shared<Graph>();
  const int z = f->input({{6}});
  f->output(f->add(linear(6), {f->add(activation("tanh"), {f->add(linear(8), {z}, "a")})}, "b"));
  const int x = net.add(linear(6), {net.input({{9}})}, "stem");
  net.output(net.add(linear(5), {net.add(block(f, problem), {x}, "ode")}, "out"));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  return net;
}

std::vector<OdeCreditRow> rows_of(const std::string& rule, const OptionValues& options,
                                  const Problem& problem, Gradient gradient) {
  at::NoGradGuard no_grad;
  Graph net = net_with_block(problem);
  set_gradient(net, gradient);
  const auto loss = make_loss("cross-entropy");
  const pathways::Batch batch(net);
  altprop::testing::TestRun run(net, *loss, make_rule(rule, options), {});
  return compare_ode_credit(dynamic_cast<Rule&>(run.rule()),
                            Step::look_at({.inputs = batch.x}, batch.y));
}

TEST(OdeCredit, OfBackpropIsExactAtEveryStage) {
  for (const Gradient gradient : {Gradient::Naive, Gradient::Symplectic, Gradient::Adjoint}) {
    const auto rows = rows_of("backprop", {}, {.solver = "rk4", .sizes = {.steps = 3}}, gradient);
    ASSERT_EQ(rows.size(), 2u * 3 * 4);
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].name, i < 12 ? "ode.a" : "ode.b");
      EXPECT_EQ(rows[i].step, static_cast<int64_t>(i % 12 / 4));
      EXPECT_EQ(rows[i].stage, static_cast<int64_t>(i % 4));
      EXPECT_EQ(rows[i].s.relative_error, 0);
    }
  }
}

// Behind the last evaluation lies only the last layer, whose feedback is the weight here.
TEST(OdeCredit, OfFeedbackAlignmentIsLostFromTheEndOn) {
  for (const Gradient gradient : {Gradient::Naive, Gradient::Symplectic, Gradient::Adjoint}) {
    const auto rows = rows_of("fa", {{"feedback.skip", "out"}},
                              {.solver = "heun", .sizes = {.steps = 4}}, gradient);
    ASSERT_EQ(rows.size(), 2u * 4 * 2);
    const OdeCreditRow &first = rows[8], &last = rows[15];
    EXPECT_EQ(last.name, "ode.b");
    EXPECT_EQ(last.step, 3);
    EXPECT_EQ(last.stage, 1);
    EXPECT_LT(last.s.relative_error, 1e-15);
    EXPECT_GT(first.s.angle_degrees, 1);
    EXPECT_GT(rows[7].s.angle_degrees, 10) << "credit of a has crossed feedback of b";
    for (size_t i = 9; i < 16; ++i)
      EXPECT_LE(rows[i].s.angle_degrees, first.s.angle_degrees + 1e-9);
  }
}

TEST(OdeCredit, KnowsNothingWithoutABlock) {
  at::NoGradGuard no_grad;
  Graph net = network("mlp:4-5-3");
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  const auto loss = make_loss("cross-entropy");
  altprop::testing::TestRun run(net, *loss, make_rule("fa", {}), {});
  const Tensor x = Stream(2).normal({6, 4}), y = at::arange(6, at::kLong).remainder(3);
  EXPECT_TRUE(
      compare_ode_credit(dynamic_cast<Rule&>(run.rule()), Step::look_at({.inputs = x}, y)).empty());
}

}  // namespace
}  // namespace altprop::ode
