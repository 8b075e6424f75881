// Networks that are continuous normalising flows: densities that are densities, samples that come
// from them, and what is no flow.
#include "altprop/ode/flow.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "altprop/network/likelihood.h"
#include "altprop/optim/own_updater.h"
#include "network/check_op.h"
#include "network/support.h"
#include "rules/teacher.h"

namespace altprop::ode {
namespace {

using test::contains;
using test::message_of;

InputInfo sized(std::vector<int64_t> shape) {
  InputInfo out;
  out.input_shape = std::move(shape);
  return out;
}

/// Weights drawn, in float64.
Graph drawn_flow(const std::string& text, const std::string& scheme = "normal:0.7",
                 const InputInfo& info = sized({2})) {
  Graph net = network(text, info);
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser(scheme), Stream(3).at("init"));
  return net;
}

/// Of a function of the plane, by the midpoint rule on [-a, a]^2, which is exact to the digits that
/// a smooth density has at the border.
double plane_integral(const std::function<Tensor(const Tensor&)>& f, double a, int64_t cells) {
  const Tensor at = (at::arange(cells, at::kDouble) + 0.5) * (2 * a / double(cells)) - a;
  const Tensor points = at::stack({at.view({1, -1}).expand({cells, cells}).flatten(),
                                   at.view({-1, 1}).expand({cells, cells}).flatten()},
                                  1);
  return f(points).sum().item<double>() * std::pow(2 * a / double(cells), 2);
}

TEST(Flow, ADensityIntegratesToOne) {
  at::NoGradGuard no_grad;
  for (const std::string text : {"cnf:2:8x2:tanh:rtol=1e-7,atol=1e-8",
                                 "cnf:2:8:softplus:layer=concat,blocks=2,solver=dopri8,steps=4",
                                 "cnf:2:8:tanh:trace=hutchinson,steps=10"}) {
    const Graph net = drawn_flow(text);
    const double all =
        plane_integral([&](const Tensor& x) { return log_density(net, x).exp(); }, 14, 140);
    EXPECT_NEAR(all, 1, 2e-4) << text;
    const Tensor x = Stream(1).at("x").normal({5, 2}, at::kDouble);
    EXPECT_GT(
        largest(log_density(net, x) + 0.5 * x.square().sum(1) + std::log(2 * std::numbers::pi)),
        0.1)
        << "the flow is not the identity";
  }
}

/// z' = A z for a time T: x = e^(-TA) z is normal with the covariance e^(-TA) e^(-TA)^T.
TEST(Flow, AnAffineFlowHasANormalDensity) {
  at::NoGradGuard no_grad;
  Graph net = network("chain: ode{flow{linear 2 bias=false}} augment=1 T=0.7 solver=dopri8 steps=6",
                      sized({2}));
  net.to(at::kCPU, at::kDouble);
  const Tensor a = at::tensor({0.5, -0.8, 0.3, -0.4}, at::kDouble).view({2, 2});
  net.params()[0]->value = a;
  const Tensor map = at::matrix_exp(0.7 * a);
  const Tensor x = Stream(2).at("x").normal({6, 2}, at::kDouble);
  const Tensor z = x.mm(map.t());
  const Tensor expected =
      -0.5 * z.square().sum(1) - std::log(2 * std::numbers::pi) + 0.7 * a.trace();
  expect_close(log_density(net, x), expected, 1e-9, "log density");
  const Tensor many = sample(net, 20000, Stream(6));
  const Tensor back = at::linalg_inv(map), covariance = back.mm(back.t());
  const Tensor found = many.t().mm(many) / 20000;
  EXPECT_LE(largest(found - covariance), 5 * largest(covariance) * std::sqrt(2.0 / 20000));
}

TEST(Flow, SamplesGoForwardToTheDrawsThatTheyCameFrom) {
  at::NoGradGuard no_grad;
  for (const std::string text : {"cnf:2:8x2:tanh:rtol=1e-9,atol=1e-9,blocks=2,T=0.6",
                                 "cnf:2:8:softplus:solver=dopri8,steps=20,learn-T=no"}) {
    const Graph net = drawn_flow(text);
    const Tensor x = sample(net, 7, Stream(4), 3);
    const Tensor z = net.predict(x).narrow(1, 0, 2);
    expect_close(z, Stream(4).normal_rows({}, {7, 2}, at::kDouble), 1e-6, "draws");
    EXPECT_GT(largest(x - z), 0.05);
  }
  const Graph images = drawn_flow("cnf:*:6:tanh:steps=2", "normal:0.3", sized({1, 2, 3}));
  EXPECT_EQ(sample(images, 5, Stream(1)).sizes(), IntArrayRef({5, 1, 2, 3}));
  EXPECT_THROW(sample(images, 0, Stream(1)), UsageError);
}

TEST(Flow, WhatElseChangesDensitiesIsNoFlow) {
  const auto why = [](const std::string& text) {
    return message_of([&] { flow_of(network(text, sized({2}))); });
  };
  EXPECT_EQ(why("cnf:2:8:tanh"), "no error");
  EXPECT_EQ(why("chain: ode{flow{linear 8, tanh, linear 2}} augment=1"), "no error");
  EXPECT_TRUE(contains(why("chain: linear 2, ode{flow{linear 2}} augment=1"), "(linear)"))
      << why("chain: linear 2, ode{flow{linear 2}} augment=1");
  EXPECT_TRUE(contains(why("chain: linear 3, ode{flow{linear 2}}"), "(linear)"));
  EXPECT_TRUE(contains(why("chain: ode{flow{linear 2}} augment=1, tanh"), "(tanh)"));
  EXPECT_TRUE(contains(why("chain: ode{flow{linear 2}} augment=2"), "velocity"))
      << why("chain: ode{flow{linear 2}} augment=2");
  EXPECT_TRUE(contains(why("chain: ode{flow{linear 2}, tanh} augment=1"), "more or less"));
  EXPECT_TRUE(contains(why("chain: ode{flow{linear 2}} augment=1 times=0.5/1"), "more or less"));
  EXPECT_TRUE(contains(why("mlp:2-3"), "(linear)"));
  EXPECT_FALSE(is_flow(network("mlp:2-3", sized({2}))));
  EXPECT_TRUE(is_flow(network("cnf:2:8:tanh", sized({2}))));
}

TEST(Flow, TextsThatMakeNoSenseAreRefused) {
  const auto why = [](const std::string& text, std::vector<int64_t> shape = {2}) {
    return message_of([&] { network(text, sized(std::move(shape))); });
  };
  EXPECT_TRUE(contains(why("cnf"), "hidden layers are missing"));
  EXPECT_TRUE(contains(why("cnf:3:8"), "3 values"));
  EXPECT_TRUE(contains(why("cnf:two:8"), "number of values"));
  EXPECT_TRUE(contains(why("cnf:2:8:relu"), "(relu)")) << why("cnf:2:8:relu");
  EXPECT_TRUE(contains(why("cnf:2:8:tanh:eval-trace=same"), "no effect"));
  EXPECT_TRUE(contains(why("cnf:2:8:tanh:steps=3,rtol=1e-3"), "no effect"));
  EXPECT_TRUE(contains(why("cnf:2:8:tanh:solver=rk4"), "steps=8"));
  EXPECT_TRUE(contains(why("cnf:2:8:tanh:trace=stein"), "trace"));
  EXPECT_TRUE(contains(why("chain: flow{linear 2}", {3}), "stands in the braces of an ode"));
  EXPECT_TRUE(contains(why("chain: ode{flow{linear 3}}", {3}), "velocity"));
  EXPECT_TRUE(contains(why("chain: ode{flow{linear 1}}", {1}), "one more"));
  EXPECT_TRUE(contains(why("chain: ode{energy{linear 4, tanh} dx=2}", {4}), "no effect"));
  EXPECT_EQ(why("chain: ode{energy{linear 4, tanh} by=D2 dx=2}", {4}), "no error");
  EXPECT_EQ(why("chain: ode{energy{linear 4, tanh} by=canonical time=gate}", {4}), "no error");
}

TEST(Likelihood, IsMinusTheLogDensityAndItsGradient) {
  at::NoGradGuard no_grad;
  const auto loss = make_loss("likelihood");
  Tensor out = Stream(3).at("out").normal({4, 3}, at::kDouble);
  const Tensor value = loss->value(out, {});
  for (int64_t b = 0; b < 4; ++b) {
    const double x = out[b][0].item<double>(), y = out[b][1].item<double>();
    EXPECT_NEAR(value[b].item<double>(),
                (x * x + y * y) / 2 + std::log(2 * std::numbers::pi) + out[b][2].item<double>(),
                1e-14);
  }
  const Tensor gradient = loss->gradient(out, {}), direction = at::ones_like(out);
  constexpr double kStep = 1e-6;
  const Tensor moved =
      (loss->value(out + kStep * direction, {}) - loss->value(out - kStep * direction, {})) /
      (2 * kStep);
  expect_close((gradient * direction).sum(1), moved, 1e-8, "gradient");
  expect_close(
      loss->curvature(out, {}, direction),
      (loss->gradient(out + kStep * direction, {}) - loss->gradient(out - kStep * direction, {})) /
          (2 * kStep),
      1e-8, "curvature");
  expect_close(loss->link(out), -value.unsqueeze(1), 1e-14, "link");
  EXPECT_FALSE(loss->right(out, {}).defined());
  const std::vector<int64_t> shape = {3};
  loss->admit(shape, at::empty({4, 0}, at::kDouble));
  loss->admit(shape, at::zeros({4}, at::kLong));
  EXPECT_THROW(loss->admit(shape, at::zeros({4, 3}, at::kDouble)), Refusal);
  EXPECT_THROW(loss->admit({1}, at::empty({4, 0}, at::kDouble)), Refusal);
  EXPECT_THROW(loss->value(at::zeros({4}, at::kDouble), {}), UsageError);
  for (const std::string other : {"cross-entropy", "squared-error", "sigmoid-cross-entropy"})
    EXPECT_TRUE(contains(message_of([&] {
                           make_loss(other)->admit(shape, at::empty({4, 0}));
                         }),
                         "no targets"))
        << other;
}

/// Likelihoods of the first steps of training under every gradient method.
std::vector<double> first_losses(Gradient gradient, int steps) {
  Graph net = drawn_flow("cnf:2:12x2:tanh:T=0.5,trace=hutchinson", "xavier");
  set_gradient(net, gradient);
  const auto loss = make_loss("likelihood");
  altprop::testing::TestRun run(net, *loss, make_rule("backprop"), {.kind = "adam", .lr = 5e-3});
  const Tensor x = Stream(7).at("x").normal({32, 2}, at::kDouble) * 0.4 + 1;
  std::vector<double> out;
  for (int i = 0; i < steps; ++i) {
    run.step(x, at::empty({32, 0}, at::kDouble));
    out.push_back(loss->value(net.predict(x), {}).mean().item<double>());
  }
  return out;
}

TEST(Flow, ExactMethodsTrainAlike) {
  at::NoGradGuard no_grad;
  constexpr int kSteps = 15;
  const std::vector<double> naive = first_losses(Gradient::Naive, kSteps);
  EXPECT_LT(naive.back(), naive.front() - 0.2);
  for (const Gradient gradient : {Gradient::OneCheckpoint, Gradient::Aca, Gradient::Symplectic,
                                  Gradient::Binomial, Gradient::Adjoint}) {
    const std::vector<double> found = first_losses(gradient, kSteps);
    for (int i = 0; i < kSteps; ++i)
      EXPECT_NEAR(found[static_cast<size_t>(i)], naive[static_cast<size_t>(i)],
                  gradient == Gradient::Adjoint ? 1e-3 : 1e-9)
          << gradient_names()[static_cast<size_t>(gradient)] << ' ' << i;
  }
}

}  // namespace
}  // namespace altprop::ode
