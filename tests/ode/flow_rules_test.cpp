// Feedback rules inside of flows and energies: gradient methods agree under every kind of feedback,
// and a rule whose feedback is the weight is backprop.
#include <ATen/core/grad_mode.h>

#include "altprop/network/architecture.h"
#include "ode/fields.h"
#include "rules/pathways.h"

namespace altprop::ode {
namespace {

using pathways::RuleInside;

struct Inside {
  const char* net;
  const char* loss;
  std::vector<int64_t> shape;
};

const std::vector<Inside> kFields = {
    {"cnf:3:6:tanh:trace=hutchinson,solver=rk4,steps=2", "likelihood", {3}},
    {"cnf:2:5x2:softplus:blocks=2,solver=bosh3,steps=1,learn-T=no", "likelihood", {2}},
    {"chain: ode{energy{linear 5, tanh, linear 1} by=canonical} solver=rk4 steps=2, linear 3",
     "cross-entropy",
     {4}}};

Graph net_of(const Inside& inside, Gradient gradient) {
  Graph net = network(inside.net, {.input_shape = inside.shape});
  set_gradient(net, gradient);
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(2).at("init"));
  return net;
}

altprop::testing::NamedGradients gradients_under(const RuleInside& rule, const Inside& inside,
                                                 Gradient gradient) {
  Graph net = net_of(inside, gradient);
  const auto loss = make_loss(inside.loss);
  const auto learner = make_rule(rule.rule, rule.options);
  learner->prepare_for({.kind = "sgd", .lr = 0.1});
  learner->admit(net, *loss);
  learner->bind(net, *loss, 1);
  const pathways::Batch batch(net);
  return altprop::testing::gradients(*learner, net, *loss, batch.x, batch.y);
}

class FlowWithin : public ::testing::TestWithParam<RuleInside> {};

TEST_P(FlowWithin, GradientMethodsAgree) {
  at::NoGradGuard no_grad;
  for (const Inside& inside : kFields) {
    SCOPED_TRACE(inside.net);
    const auto naive = gradients_under(GetParam(), inside, Gradient::Naive);
    double size = 0;
    for (const auto& [name, value] : naive) size += value.norm().item<double>();
    EXPECT_GT(size, 1e-3);
    for (const Gradient gradient : testing::kExact)
      pathways::expect_same(gradients_under(GetParam(), inside, gradient), naive, 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, FlowWithin, ::testing::ValuesIn(pathways::rules_for_blocks()),
                         [](const auto& info) { return info.param.name; });

/// Whether feedback reaches the trace: with random feedback the gradient of weights that only the
/// trace's credit crosses differs from backprop's.
TEST(FlowRules, FeedbackIsNotTheWeight) {
  at::NoGradGuard no_grad;
  const RuleInside exact{"backprop", "backprop", {}}, random{"fa", "feedback-alignment", {}};
  for (const Inside& inside : kFields) {
    const auto a = gradients_under(exact, inside, Gradient::Symplectic),
               b = gradients_under(random, inside, Gradient::Symplectic);
    double apart = 0;
    for (const auto& [name, value] : a)
      apart = std::max(apart, (value - b.at(name)).norm().item<double>());
    EXPECT_GT(apart, 1e-3) << inside.net;
  }
}

}  // namespace
}  // namespace altprop::ode
