// Gradients through ODE blocks: against finite differences, closed forms, numbers of another
// implementation, autograd through an unrolled copy of the solver, and each other.
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/generated/variable_factories.h>

#include <ATen/core/grad_mode.h>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "network/check_op.h"
#include "ode/partitioned.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;
using testing::drawn_block;
using testing::Found;
using testing::kExact;
using testing::one_dimensional;
using testing::pass;
using testing::timed_mlp;

std::string name_of(Gradient gradient) { return gradient_names()[static_cast<size_t>(gradient)]; }

class ByMethod : public ::testing::TestWithParam<std::string> {
 protected:
  Problem fixed(int64_t steps, double end = 1) const {
    return {.solver = GetParam(), .end_time = end, .sizes = {.steps = steps}};
  }
};

TEST_P(ByMethod, TheBlockKeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  for (const Gradient gradient : kExact) {
    SCOPED_TRACE(name_of(gradient));
    auto block = std::make_shared<Block>(timed_mlp(2, 2), fixed(3, 0.8));
    block->set_gradient(gradient);
    OpCheck(block, {{2, 2}}).run();
  }
}

TEST_P(ByMethod, ExactMethodsAgree) {
  at::NoGradGuard no_grad;
  std::vector<Problem> problems = {fixed(1), fixed(7)};
  if (tableau(GetParam()).estimates_error())
    problems.push_back({.solver = GetParam(), .sizes = {.rtol = 1e-4, .atol = 1e-6}});
  for (const Problem& problem : problems) {
    const auto block = drawn_block(problem);
    const Tensor x = draw("x"), cot = draw("cot");
    const Found naive = pass(*block, Gradient::Naive, x, cot);
    ASSERT_GT(naive.of_params[0].norm().item<double>(), 1e-3);
    for (const Gradient gradient : kExact) {
      SCOPED_TRACE(name_of(gradient));
      const Found found = pass(*block, gradient, x, cot);
      EXPECT_TRUE(at::equal(found.out, naive.out));
      EXPECT_LE(apart(found.of_input, naive.of_input), 1e-14);
      for (size_t i = 0; i < naive.of_params.size(); ++i)
        EXPECT_LE(apart(found.of_params[i], naive.of_params[i]), 1e-14) << i;
    }
  }
}

TEST_P(ByMethod, AutogradThroughAnUnrolledCopyOfTheSolverAgrees) {
  const auto block = drawn_block(fixed(4, 0.7));
  const Tensor x = draw("x"), cot = draw("cot");
  Found found;
  {
    at::NoGradGuard no_grad;
    found = pass(*block, Gradient::Symplectic, x, cot);
  }
  std::vector<Tensor> leaves = {x.clone().requires_grad_()};
  for (const ParamPtr& param : block->params())
    leaves.push_back(param->value.detach().clone().requires_grad_());
  at::AutoGradMode with_grad(true);
  const auto f = [&](double t, const Tensor& z) {
    const Tensor timed = at::cat({at::full({z.size(0), 1}, t, z.options()), z}, 1);
    return at::linear(at::tanh(at::linear(timed, leaves[1], leaves[2])), leaves[3], leaves[4]);
  };
  const Tableau& method = tableau(GetParam());
  Tensor z = leaves[0];
  const double h = 0.7 / 4;
  for (int n = 0; n < 4; ++n) {
    std::vector<Tensor> k;
    for (int i = 0; i < method.stages(); ++i) {
      Tensor state = z;
      for (int j = 0; j < i; ++j) state = state + h * method.a(i, j) * k[static_cast<size_t>(j)];
      k.push_back(f(n * h + method.c(i) * h, state));
    }
    for (int i = 0; i < method.stages(); ++i) z = z + h * method.b(i) * k[static_cast<size_t>(i)];
  }
  EXPECT_LE(apart(found.out, z.detach()), 1e-14);
  const auto grads = torch::autograd::grad({z}, leaves, {cot});
  EXPECT_LE(apart(found.of_input, grads[0]), 1e-13);
  for (size_t i = 0; i < found.of_params.size(); ++i)
    EXPECT_LE(apart(found.of_params[i], grads[i + 1]), 1e-13) << block->params()[i]->name;
}

TEST_P(ByMethod, ThePapersPartitionedFormIsTheSame) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block(fixed(3));
  const Tensor x = draw("x"), cot = draw("cot");
  const Found found = pass(*block, Gradient::Symplectic, x, cot);
  const testing::Partitioned other =
      testing::partitioned_adjoint(tableau(GetParam()), *block->parts(), found.record, cot);
  EXPECT_LE(apart(found.of_input, other.of_begin), 1e-13);
  for (size_t i = 0; i < found.of_params.size(); ++i)
    EXPECT_LE(apart(found.of_params[i], other.gradients.of_param(*block->params()[i])), 1e-13);
}

TEST_P(ByMethod, CreditAndTangentKeepTheirProduct) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block(fixed(5));
  for (const Gradient gradient : kExact) {
    block->set_gradient(gradient);
    Saved saved;
    block->forward(std::vector<Tensor>{draw("x")}, saved, {Mode::Train});
    const Tensor cot = draw("cot"), tangent = draw("tangent");
    const double a = dot_product(cot, block->jvp(saved, tangent, 0));
    EXPECT_NEAR(a, dot_product(block->vjp(saved, cot, 0, nullptr), tangent), 1e-13 * std::abs(a));
  }
}

/// z' = theta z in N equal steps: z_N = R(theta h)^N z_0.
TEST_P(ByMethod, LinearEquationInClosedForm) {
  at::NoGradGuard no_grad;
  const Tableau& method = tableau(GetParam());
  const double theta = -0.8, h = 0.5, begin = 1.7;
  const int n = 4;
  auto f = std::make_shared<Graph>();
  f->output(f->add(linear(1, false), {f->input({{1}}, "z")}, "map"));
  Block block(f, fixed(n, n * h));
  block.params()[0]->value = at::full({1, 1}, theta, at::kDouble);
  // R and R' by the coefficients b^T A^(k-1) 1.
  double r = 1, slope = 0;
  std::vector<double> v(static_cast<size_t>(method.stages()), 1);
  for (int k = 1; k <= method.stages(); ++k) {
    double coefficient = 0;
    for (int i = 0; i < method.stages(); ++i)
      coefficient += method.b(i) * v[static_cast<size_t>(i)];
    r += coefficient * std::pow(theta * h, k);
    slope += k * coefficient * std::pow(theta * h, k - 1);
    std::vector<double> next(v.size(), 0);
    for (size_t i = 0; i < v.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        next[i] += method.a(static_cast<int>(i), static_cast<int>(j)) * v[j];
    v = next;
  }
  for (const Gradient gradient : kExact) {
    const Found found =
        pass(block, gradient, at::full({1, 1}, begin, at::kDouble), at::ones({1, 1}, at::kDouble));
    EXPECT_NEAR(found.out.item<double>(), std::pow(r, n) * begin, 1e-14);
    EXPECT_NEAR(found.of_input.item<double>(), std::pow(r, n), 1e-14);
    EXPECT_NEAR(found.of_params[0].item<double>(), n * h * slope * std::pow(r, n - 1) * begin,
                1e-13);
  }
}

/// f = p0 tanh(x) + p1 t + p2 x t, p = (1.2, -0.5, 0.3), x(0) = 0.8, steps of 1/4 to 1, and
/// L = (x(1) - 1)^2 / 2 + x(1/2)^2 / 4: numbers of another implementation, confirmed there by
/// complex steps. Two blocks that share p, the second one half a unit of time later.
TEST_P(ByMethod, AFixtureWithALossAlongTheTrajectory) {
  at::NoGradGuard no_grad;
  const std::map<std::string, std::vector<double>> known = {
      {"euler",
       {1.70607295228226, 1.99877107368172, 0.891845718408036, 0.324293329929454,
        0.404918352609091}},
      {"heun",
       {1.75579212138796, 2.09386330324204, 1.05168934106654, 0.5200894642674, 0.701456117228968}},
      {"midpoint",
       {1.75511483262746, 2.08938013067713, 1.05684313185092, 0.519886885880622,
        0.684023712793059}},
      {"rk4",
       {1.75745396733981, 2.09155775666878, 1.06316261987854, 0.528708441310838,
        0.704383465704935}},
      {"rk38",
       {1.75745174977756, 2.0915545209441, 1.0631542843365, 0.528698317721225, 0.704360206152004}},
      {"bosh3",
       {1.75735196376484, 2.09149399805358, 1.06271078796841, 0.528366612029248,
        0.703783692293224}},
      {"fehlberg2",
       {1.75512916207793, 2.08940223829395, 1.05686616246263, 0.519935685162052, 0.68417321604211}},
      {"dopri5",
       {1.75745821173189, 2.09155422286913, 1.06319299457365, 0.528729516484949,
        0.704403622679855}},
      {"dopri8",
       {1.75745818109702, 2.0915543332407, 1.0631927266486, 0.528729311442082, 0.704403412279206}}};
  if (!known.contains(GetParam())) GTEST_SKIP() << "not among those that were computed elsewhere";
  const std::vector<double>& expected = known.at(GetParam());
  const OpPtr map = linear(1, false);
  const auto from = [](double begin) {
    return [begin](const Tensor& t, const Tensor& z) {
      const Tensor time = at::zeros_like(z) + t + begin;
      return at::cat({at::tanh(z), time, z * time}, 1);
    };
  };
  Block first(one_dimensional(from(0), map), fixed(2, 0.5)),
      second(one_dimensional(from(0.5), map), fixed(2, 0.5));
  map->params()[0]->value = at::tensor({1.2, -0.5, 0.3}, at::kDouble).view({1, 3});
  for (const Gradient gradient : kExact) {
    SCOPED_TRACE(name_of(gradient));
    first.set_gradient(gradient);
    second.set_gradient(gradient);
    Saved a, b;
    const Tensor middle =
        first.forward(std::vector<Tensor>{at::full({1, 1}, 0.8, at::kDouble)}, a, {Mode::Train});
    const Tensor end = second.forward(std::vector<Tensor>{middle}, b, {Mode::Train});
    Feedback exact;
    Gradients sink;
    Sweep sweep{exact, &sink};
    const char wanted = 1;
    const Tensor at_middle = second.credit(b, end - 1, {&wanted, 1}, nullptr, sweep)[0];
    const Tensor at_begin =
        first.credit(a, at_middle + middle / 2, {&wanted, 1}, nullptr, sweep)[0];
    const Tensor p = sink.of_param(*map->params()[0]);
    EXPECT_NEAR(end.item<double>(), expected[0], 2e-14);
    EXPECT_NEAR(at_begin.item<double>(), expected[1], 3e-14);
    for (int i = 0; i < 3; ++i)
      EXPECT_NEAR(p[0][i].item<double>(), expected[static_cast<size_t>(i) + 2], 3e-14) << i;
  }
}

TEST_P(ByMethod, EvaluationsAreThoseOfTheMethod) {
  at::NoGradGuard no_grad;
  const int64_t n = 6, s = tableau(GetParam()).stages();
  const auto block = drawn_block(fixed(n));
  const std::map<Gradient, int64_t> backward = {{Gradient::Naive, 0},
                                                {Gradient::OneCheckpoint, n * s},
                                                {Gradient::Aca, n * s},
                                                {Gradient::Symplectic, n * (2 * s - 1)}};
  for (const auto& [gradient, evaluations] : backward) {
    const Found found = pass(*block, gradient, draw("x"), draw("cot"));
    EXPECT_EQ(found.record.forward.evaluations, n * s);
    EXPECT_EQ(found.record.backward.evaluations, evaluations) << name_of(gradient);
  }
}

INSTANTIATE_TEST_SUITE_P(OdeGradients, ByMethod, ::testing::ValuesIn(tableau_names()),
                         [](const auto& info) { return info.param; });

TEST(OdeGradients, InFloat32TheyAreThoseOfFloat64) {
  at::NoGradGuard no_grad;
  const Problem problem{.solver = "rk4", .sizes = {.steps = 50}};
  const auto exact = drawn_block(problem), single = drawn_block(problem, at::kFloat);
  const Found expected = pass(*exact, Gradient::Naive, draw("x"), draw("cot"));
  for (const Gradient gradient : kExact) {
    const Found found =
        pass(*single, gradient, draw("x").to(at::kFloat), draw("cot").to(at::kFloat));
    for (size_t i = 0; i < expected.of_params.size(); ++i)
      EXPECT_LE(apart(found.of_params[i].to(at::kDouble), expected.of_params[i]), 5e-6)
          << name_of(gradient);
  }
}

TEST(OdeGradients, APassThatWasFreedIsNotCreditedAgain) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block({.solver = "rk4", .sizes = {.steps = 2}});
  Graph net;
  net.output(net.add(block, {net.input({{3}})}, "again"));
  Activity activity;
  net.run(draw("x"), activity, {Mode::Train});
  Gradients sink;
  Feedback exact;
  net.sweep(activity, {{net.output_node(), draw("cot")}}, exact, &sink, {.release = true});
  for (const Saved& saved : activity.saved) EXPECT_FALSE(saved.extra.has_value());
}

TEST(OdeGradients, FunctionsThatAreNotRatesOfChangeAreRefused) {
  auto f = std::make_shared<Graph>();
  f->output(f->add(linear(2), {f->input({{3}})}));
  Graph net;
  const int x = net.input({{3}});
  EXPECT_THROW(net.add(block(f), {x}, "ode"), Refusal);
  EXPECT_THROW(block(timed_mlp(3), {.solver = "rk4"}), UsageError);
  EXPECT_THROW(block(timed_mlp(3), {.end_time = 0}), UsageError);
  EXPECT_THROW(block(timed_mlp(3), {.solver = "dopri"}), UsageError);
  EXPECT_THROW(net.add(block(timed_mlp(4)), {x}, "other"), Refusal);
}

}  // namespace
}  // namespace altprop::ode
