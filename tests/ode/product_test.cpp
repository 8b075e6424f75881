// The product of the axes - solver, right-hand side with and without the time, number format,
// learning rule - times gradient method; and what exact gradients are for: runs that do not differ.
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "ode/passes.h"
#include "rules/pathways.h"

namespace altprop::ode {
namespace {

using pathways::Batch;
using pathways::RuleInside;
using testing::kExact;
using testing::net_around;
using NamedGradients = altprop::testing::NamedGradients;

std::shared_ptr<Graph> right_hand_side(bool timed) {
  if (timed) return testing::timed_mlp(6);
  auto f = std::make_shared<Graph>();
  const int h = f->add(linear(5), {f->input({{6}}, "z")}, "a");
  f->output(f->add(linear(6), {f->add(activation("tanh"), {h})}, "b"));
  return f;
}

class ExactMethods
    : public ::testing::TestWithParam<std::tuple<std::string, bool, at::ScalarType>> {};

TEST_P(ExactMethods, AgreeUnderEveryRule) {
  at::NoGradGuard no_grad;
  const auto& [solver, timed, type] = GetParam();
  const auto loss = make_loss("cross-entropy");
  for (const RuleInside& inside : pathways::rules_for_blocks()) {
    SCOPED_TRACE(inside.name);
    NamedGradients naive;
    for (const Gradient gradient : kExact) {
      SCOPED_TRACE(gradient_names()[static_cast<size_t>(gradient)]);
      Graph net =
          net_around(right_hand_side(timed), {.solver = solver, .sizes = {.steps = 2}}, type);
      set_gradient(net, gradient);
      const Batch batch(net, 3);
      const auto learner = make_rule(inside.rule, inside.options);
      learner->prepare_for({.kind = "sgd", .lr = 0.1});
      learner->admit(net, *loss);
      learner->bind(net, *loss, 1);
      const NamedGradients found =
          altprop::testing::gradients(*learner, net, *loss, batch.x, batch.y);
      if (gradient == Gradient::Naive) {
        naive = found;
        if (inside.rule != "last-layer-only") {
          EXPECT_GT(naive.at("ode.a.weight").norm().item<double>(), 1e-4);
        }
      }
      pathways::expect_same(found, naive, type == at::kDouble ? 1e-14 : 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    OdeProduct, ExactMethods,
    ::testing::Combine(::testing::ValuesIn(scheme_names()), ::testing::Bool(),
                       ::testing::Values(at::kDouble, at::kFloat)),
    [](const auto& info) {
      return std::get<0>(info.param) + (std::get<1>(info.param) ? "_timed" : "_autonomous") +
             (std::get<2>(info.param) == at::kDouble ? "_double" : "_float");
    });

// ---- runs ----

/// The loss before each of 50 steps.
std::vector<double> curve(const Problem& problem, Gradient gradient) {
  Graph net = net_around(testing::timed_mlp(6), problem, at::kDouble);
  set_gradient(net, gradient);
  const auto loss = make_loss("cross-entropy");
  const Batch batch(net, 20);
  altprop::testing::TestRun run(net, *loss, make_rule("backprop"), {.kind = "adam", .lr = 0.02});
  std::vector<double> out;
  for (int i = 0; i < 50; ++i) out.push_back(run.step(batch.x, batch.y));
  return out;
}

double furthest(const std::vector<double>& a, const std::vector<double>& b) {
  double out = 0;
  for (size_t i = 0; i < a.size(); ++i) out = std::max(out, std::abs(a[i] - b[i]));
  return out;
}

TEST(OdeCurves, OfExactMethodsAreOneCurve) {
  at::NoGradGuard no_grad;
  for (const Problem& problem :
       {Problem{.solver = "rk4", .sizes = {.steps = 4}}, Problem{.solver = "dopri5"},
        Problem{.solver = "alf", .sizes = {.steps = 10}},
        Problem{.solver = "bosh3", .sizes = {.steps = 4}, .coupling = 0.999}}) {
    const std::vector<double> naive = curve(problem, Gradient::Naive);
    EXPECT_LT(naive.back(), naive.front() / 2);
    std::vector<Gradient> others(kExact.begin() + 1, kExact.end());
    if (problem.solver == "alf" || problem.coupling > 0) others.push_back(Gradient::Mali);
    for (const Gradient gradient : others)
      EXPECT_LE(furthest(curve(problem, gradient), naive), 1e-9)
          << problem.solver << ' ' << gradient_names()[static_cast<size_t>(gradient)];
  }
}

TEST(OdeCurves, OfTheAdjointAreTheFurtherAwayTheLooserItsTolerance) {
  at::NoGradGuard no_grad;
  double before = 1e-9;
  for (const double tolerance : {1e-7, 1e-5, 1e-3}) {
    const Problem problem{.sizes = {.rtol = tolerance, .atol = tolerance}};
    const double away =
        furthest(curve(problem, Gradient::Adjoint), curve(problem, Gradient::Symplectic));
    EXPECT_GT(away, before) << tolerance;
    EXPECT_LT(away, 100 * tolerance);
    before = away;
  }
}

}  // namespace
}  // namespace altprop::ode
