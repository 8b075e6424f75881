// What gradient methods keep in memory: the published formulas, and nothing that grows with steps
// but the states that are kept.
#include <ATen/core/grad_mode.h>

#include "altprop/network/architecture.h"
#include "altprop/ode/cost.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::timed_mlp;


/// Most bytes alive in a forward and reverse pass, above what was before.
int64_t bytes_of_pass(const Graph& net, Gradient gradient, const Tensor& x, const Tensor& cot) {
  set_gradient(net, gradient);
  Gradients sink;
  Feedback exact;
  for (int warm = 0; warm < 2; ++warm) {  // the first pass makes the gradients' tensors
    Activity activity;
    sink.restart();
    memory::reset_peak(at::kCPU);
    const int64_t before = memory::alive(at::kCPU);
    const Tensor out = net.run(x, activity, {Mode::Train});
    net.sweep(activity, {{net.output_node(), cot}}, exact, &sink, {.release = true});
    const int64_t peak = memory::peak(at::kCPU);
    activity.clear();
    if (warm == 1) {
      // Nothing stays behind but the result, whose block may be a little larger than itself.
      EXPECT_LE(memory::alive(at::kCPU), before + out.nbytes() + 64);
      return peak - before;
    }
  }
  return 0;
}

TEST(OdeMemory, IsWhatTellsGradientMethodsApart) {
  at::NoGradGuard no_grad;
  memory::install();
  const int64_t steps = 24, stages = 4, rows = 64, width = 16, hidden = 256;
  Graph net;
  net.output(net.add(block(timed_mlp(width, hidden), {.solver = "rk4", .sizes = {.steps = steps}}),
                     {net.input({{width}})}, "ode"));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  const Tensor x = Stream(1).at("x").normal({rows, width}, at::kDouble),
               cot = Stream(1).at("cot").normal({rows, width}, at::kDouble);
  std::map<Gradient, int64_t> bytes;
  for (const std::string& name : gradient_names())
    if (name != "mali")  // for a solver of its own (leapfrog_test.cpp)
      bytes[gradient_of(name)] = bytes_of_pass(net, gradient_of(name), x, cot);
  const int64_t state = rows * width * 8, kept = rows * (hidden + width + 1) * 8;  // X and U
  const auto expect_between = [&](Gradient gradient, int64_t least, int64_t most) {
    EXPECT_GE(bytes[gradient], least) << gradient_names()[static_cast<size_t>(gradient)];
    EXPECT_LE(bytes[gradient], most) << gradient_names()[static_cast<size_t>(gradient)];
  };
  // A sweep through f holds, beside what was kept, a hidden layer's credit or two.
  const int64_t slack = 4 * kept;
  expect_between(Gradient::Naive, steps * stages * kept,
                 steps * stages * (kept + 2 * state) + slack);
  expect_between(Gradient::OneCheckpoint, steps * stages * kept,
                 steps * stages * (kept + 2 * state) + slack);
  expect_between(Gradient::Aca, stages * kept + (steps - 1) * state,
                 stages * (kept + 2 * state) + steps * state + slack);
  expect_between(Gradient::Symplectic, kept + (steps - 1) * state,
                 kept + (steps + stages + 2) * state + slack);
  expect_between(Gradient::Adjoint, kept, kept + 2 * (stages + 4) * state + slack);
  EXPECT_LT(bytes[Gradient::Adjoint], bytes[Gradient::Symplectic]);
  EXPECT_LT(bytes[Gradient::Symplectic], bytes[Gradient::Aca]);
  EXPECT_LT(3 * bytes[Gradient::Aca], bytes[Gradient::OneCheckpoint]);
  for (const auto& [gradient, count] : bytes)
    RecordProperty("bytes_" + std::to_string(static_cast<int>(gradient)), std::to_string(count));
}

/// One more step costs symplectic and ACA one state, and the others everything that f keeps.
TEST(OdeMemory, GrowsWithStepsByOneState) {
  at::NoGradGuard no_grad;
  memory::install();
  const int64_t rows = 64, width = 16, hidden = 256, state = rows * width * 8;
  const auto measured = [&](Gradient gradient, int64_t steps) {
    Graph net;
    net.output(
        net.add(block(timed_mlp(width, hidden), {.solver = "dopri5", .sizes = {.steps = steps}}),
                {net.input({{width}})}, "ode"));
    net.to(at::kCPU, at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    return bytes_of_pass(net, gradient, Stream(1).at("x").normal({rows, width}, at::kDouble),
                         Stream(1).at("cot").normal({rows, width}, at::kDouble));
  };
  // Blocks of the heap are a little larger than what is in them.
  constexpr double kRounding = 2048;
  for (const Gradient gradient : {Gradient::Aca, Gradient::Symplectic})
    EXPECT_NEAR(measured(gradient, 40) - measured(gradient, 20), 20 * state, kRounding);
  EXPECT_NEAR(measured(Gradient::Adjoint, 40), measured(Gradient::Adjoint, 20), kRounding);
  EXPECT_GT(measured(Gradient::Naive, 40) - measured(Gradient::Naive, 20),
            20 * 6 * rows * hidden * 8);
}

/// Beside the states that are kept, 1000 steps take what 2 take.
TEST(OdeMemory, IsThatOfTwoStepsBesideTheCheckpoints) {
  at::NoGradGuard no_grad;
  memory::install();
  constexpr int64_t kRows = 32, kWidth = 16, kFew = 2, kMany = 1000, kSlots = 8;
  const int64_t state = kRows * kWidth * 8;
  const auto measured = [&](const GradientMethod& method, Problem problem, int64_t steps) {
    problem.sizes.steps = steps;
    Graph net;
    net.output(net.add(block(timed_mlp(kWidth, 64), problem), {net.input({{kWidth}})}, "ode"));
    net.to(at::kCPU, at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    set_gradient(net, method);
    const Tensor x = testing::draw("x", {kRows, kWidth}),
                 cot = testing::draw("cot", {kRows, kWidth});
    return testing::peak_of_pass(net, x, cot);
  };
  struct Case {
    GradientMethod method;
    Problem problem;
    int64_t kept_of_few, kept_of_many;  ///< states
  };
  const Problem midpoint{.solver = "midpoint"};
  const std::vector<Case> cases = {
      {Gradient::Aca, midpoint, kFew, kMany},
      {Gradient::Symplectic, midpoint, kFew, kMany},
      {{Gradient::Binomial, kSlots}, midpoint, kFew, kSlots + 1},  // and where the last step began
      {Gradient::Adjoint, midpoint, 0, 0},
      {Gradient::Mali, {.solver = "alf"}, 0, 0},
      {Gradient::Mali, {.solver = "midpoint", .coupling = 0.999}, 0, 0}};
  for (const Case& one : cases) {
    const int64_t grown = measured(one.method, one.problem, kMany) -
                          measured(one.method, one.problem, kFew),
                  states = (one.kept_of_many - one.kept_of_few) * state;
    // The heap's blocks are a little larger than what is in them.
    EXPECT_NEAR(static_cast<double>(grown), static_cast<double>(states),
                state + 0.005 * static_cast<double>(states))
        << one.method.text() << ' ' << one.problem.solver;
  }
}

/// The published formulas, with U what an evaluation keeps and X the state, where f keeps much: two
/// convolutions of 64 channels between group norms, of 1x1 so that their weights are small.
TEST(OdeMemory, IsThatOfTheFormulasWhereTheRightHandSideKeepsMuch) {
  at::NoGradGuard no_grad;
  memory::install();
  constexpr int64_t kSteps = 100, kStages = 4, kRows = 4;
  Graph net = network(
      "chain: ode{gn groups=32, relu, conv 64 k=1, gn groups=32, relu, conv 64 k=1, gn groups=32} "
      "solver=rk4 steps=100 time=concat, gap, linear *",
      {.input_shape = {64, 7, 7}, .classes = 10});
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  const Profile p = profiles(net, kRows)[0];
  const int64_t u = p.kept_bytes, x = p.state_bytes;
  EXPECT_GT(u, 5 * x);
  const Tensor images = Stream(1).at("x").normal({kRows, 64, 7, 7}),
               cot = Stream(1).at("c").normal({kRows, 10});
  const auto expect_at_most = [&](Gradient method, int64_t formula) {
    set_gradient(net, method);
    EXPECT_LE(static_cast<double>(testing::peak_of_pass(net, images, cot)),
              1.1 * static_cast<double>(formula))
        << gradient_names()[static_cast<size_t>(method)];
  };
  expect_at_most(Gradient::Naive, kSteps * kStages * u);
  expect_at_most(Gradient::Aca, kStages * u + kSteps * x);
  expect_at_most(Gradient::Symplectic, u + (kSteps + kStages) * x);
}

}  // namespace
}  // namespace altprop::ode
