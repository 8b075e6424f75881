// Events, which end an integration and whose times are implicit functions: against closed forms and
// finite differences.
#include "altprop/ode/odeint.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/network/ops/linear.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;
using testing::sentence_of_error;

constexpr double kGravity = 9.81;

/// x = (height, velocity) in free fall, with drag.
std::shared_ptr<Graph> fall(double drag = 0) {
  return function({.value =
                       [drag](const Tensor&, const Tensor& x, auto) {
                         const Tensor v = x.narrow(1, 1, 1);
                         return at::cat({v, -v * drag - kGravity}, 1);
                       }},
                  {2});
}

/// g = height - floor, with the floor as a parameter.
std::shared_ptr<Graph> floor_below(const ParamPtr& floor) {
  auto g = std::make_shared<Graph>();
  const int z = g->input({{2}}, "z");
  g->input(sample_time_spec(), "t");
  const OpPtr map = linear(1);
  g->output(g->add(map, {z}, "height"));
  map->params()[0]->value = at::tensor({1.0, 0.0}, at::kDouble).view({1, 2});
  map->params()[1]->value = -floor->value.clone().view({1});
  floor->value = map->params()[1]->value;  // the bias, minus the floor's height
  return g;
}

/// h + v t - g t^2 / 2 = floor: the time, the speed there, and their derivatives in closed form.
TEST(OdeEvents, FreeFallMeetsTheFloor) {
  at::NoGradGuard no_grad;
  const auto floor = std::make_shared<Param>("floor", at::full({1}, 0.5, at::kDouble));
  const auto g = floor_below(floor);
  const Tensor x0 = at::tensor({2.0, 0.0, 10.0, 3.0, 0.6, -4.0}, at::kDouble).view({3, 2});
  const Tensor h = x0.select(1, 0), v = x0.select(1, 1);
  const Tensor speed = (v * v + (h - 0.5) * (2 * kGravity)).sqrt(), time = (v + speed) / kGravity;
  for (const std::string solver : {"dopri5", "bosh3", "dopri8"})
    for (const Gradient gradient : {Gradient::Naive, Gradient::Aca, Gradient::Symplectic,
                                    Gradient::OneCheckpoint, Gradient::Binomial}) {
      SCOPED_TRACE(solver);
      const Arrival hit =
          odeint_until(fall(), x0, 0.0, {.g = g}, {.solver = solver, .gradient = gradient});
      EXPECT_TRUE(hit.found.all().item<bool>());
      EXPECT_LE((hit.times - time).abs().max().item<double>(), 1e-12);
      EXPECT_LE((hit.x.select(1, 0) - 0.5).abs().max().item<double>(), 1e-12);
      EXPECT_LE((hit.x.select(1, 1) + speed).abs().max().item<double>(), 1e-12);
      // L = sum of c time + d speed: dt/dh = 1 / speed, dt/dv = t / speed, dspeed/dh = -g / speed.
      const Tensor c = at::tensor({1.0, 2.0, -1.0}, at::kDouble), d = c * 0.3 + 1;
      Tensor of_x = at::zeros_like(x0);
      of_x.select(1, 1).copy_(d);
      Gradients gradients;
      const Pulled pulled = ode_vjp(hit, of_x, c, &gradients);
      EXPECT_LE((pulled.of_x0.select(1, 0) - (c - d * kGravity) / speed).abs().max().item<double>(),
                1e-11);
      EXPECT_LE((pulled.of_x0.select(1, 1) - (c * time / speed + d * (1 - kGravity * time / speed)))
                    .abs()
                    .max()
                    .item<double>(),
                1e-11);
      // The bias is minus the floor, and a higher floor is a lower begin.
      const Tensor of_bias = gradients.of_param(*g->params()[1]);
      EXPECT_NEAR(of_bias.item<double>(), ((c - d * kGravity) / speed).sum().item<double>(), 1e-11);
    }
}

TEST(OdeEvents, DerivativesAreThoseOfFiniteDifferences) {
  at::NoGradGuard no_grad;
  const auto floor = std::make_shared<Param>("floor", at::full({1}, 0.2, at::kDouble));
  const auto g = floor_below(floor);
  const Tensor x0 = at::tensor({2.0, 0.0, 5.0, 3.0}, at::kDouble).view({2, 2}),
               c = at::tensor({0.7, -1.2}, at::kDouble), of_x = draw("of_x", {2, 2});
  // With drag the polynomial is not exact; with bounds on steps they do not move with the begin.
  const OdeintOptions options{.sizes = {.first_step = 0.05, .min_step = 0.05, .max_step = 0.05}};
  const auto seen = [&](const Tensor& begin) {
    const Arrival hit = odeint_until(fall(0.8), begin, 0.0, {.g = g}, options);
    return ((hit.x * of_x).sum() + (hit.times * c).sum()).item<double>();
  };
  const Pulled pulled = ode_vjp(odeint_until(fall(0.8), x0, 0.0, {.g = g}, options), of_x, c);
  const Tensor way = draw("way", {2, 2});
  const double expected = (seen(x0 + way * 1e-6) - seen(x0 - way * 1e-6)) / 2e-6;
  EXPECT_NEAR((pulled.of_x0 * way).sum().item<double>(), expected, 1e-7);
}

/// A ball that is reflected at the floor: two solutions and a jump between them, in closed form.
TEST(OdeEvents, ABouncingBallIsAChain) {
  at::NoGradGuard no_grad;
  const double height = 2, bounce = 0.8, end = 1.0;
  const auto g = floor_below(std::make_shared<Param>("floor", at::zeros({1}, at::kDouble)));
  const Tensor x0 = at::tensor({height, 0.0}, at::kDouble).view({1, 2});
  const Arrival hit = odeint_until(fall(), x0, 0.0, {.g = g, .direction = -1});
  const Tensor factors = at::tensor({1.0, -bounce}, at::kDouble);
  const Tensor times = at::stack({hit.times, at::full({1}, end, at::kDouble)}, 1);
  const Solution after = odeint(fall(), hit.x * factors, times);
  const double t = std::sqrt(2 * height / kGravity), up = bounce * kGravity * t, left = end - t;
  EXPECT_NEAR(after.outputs[0][1][0].item<double>(), up * left - kGravity * left * left / 2, 1e-11);
  // d/dheight of that: dt = 1 / (g t), dup = bounce / t, dleft = -dt.
  Tensor cot = at::zeros_like(after.outputs);
  cot[0][1][0] = 1;
  const Pulled second = ode_vjp(after, cot);
  const Pulled first = ode_vjp(hit, second.of_x0 * factors, second.of_times.select(1, 0));
  const double dt = 1 / (kGravity * t), expected = bounce / t * left - (up - kGravity * left) * dt;
  EXPECT_NEAR(first.of_x0[0][0].item<double>(), expected, 1e-10);
}

TEST(OdeEvents, DirectionsAndSamplesWithoutOne) {
  at::NoGradGuard no_grad;
  const auto g = floor_below(std::make_shared<Param>("floor", at::full({1}, 1.0, at::kDouble)));
  // One rises through the height of 1 and falls through it again, one never comes there.
  const Tensor x0 = at::tensor({0.0, 6.0, 0.5, 0.0}, at::kDouble).view({2, 2});
  const OdeintOptions options{.sizes = {.max_step = 0.05}};
  const double root = std::sqrt(36 - 2 * kGravity);
  const Arrival up = odeint_until(fall(), x0, 0.0, {.g = g, .latest = 2}, options),
                down =
                    odeint_until(fall(), x0, 0.0, {.g = g, .direction = -1, .latest = 2}, options);
  EXPECT_NEAR(up.times[0].item<double>(), (6 - root) / kGravity, 1e-11);
  EXPECT_NEAR(down.times[0].item<double>(), (6 + root) / kGravity, 1e-11);
  EXPECT_FALSE(up.found[1].item<bool>());
  EXPECT_EQ(up.times[1].item<double>(), 2);
  EXPECT_NEAR(up.x[1][0].item<double>(), 0.5 - kGravity * 2, 1e-10);
  // Of the one without, the state at the latest time is an ordinary output.
  const Pulled pulled = ode_vjp(up, at::ones_like(x0), at::ones({2}, at::kDouble));
  EXPECT_NEAR(pulled.of_x0[1][0].item<double>(), 1, 1e-12);
  EXPECT_NEAR(pulled.of_x0[1][1].item<double>(), 2 + 1, 1e-11);
}

TEST(OdeEvents, WhatIsNoEventIsTold) {
  at::NoGradGuard no_grad;
  const Tensor x0 = at::ones({2, 2}, at::kDouble);
  const auto g = floor_below(std::make_shared<Param>("floor", at::zeros({1}, at::kDouble)));
  auto wide = std::make_shared<Graph>();
  const int z = wide->input({{2}}, "z");
  wide->input(sample_time_spec(), "t");
  wide->output(wide->add(linear(2), {z}, "both"));
  const std::vector<std::pair<std::function<void()>, std::string>> table = {
      {[&] { odeint_until(fall(), x0, 0.0, {}); }, "has no g"},
      {[&] { odeint_until(fall(), x0, 0.0, {.g = wide}); }, "one number for each sample"},
      {[&] { odeint_until(fall(), x0, 0.0, {.g = testing::timed_mlp(2)}); }, "sample_time_spec"},
      {[&] { odeint_until(fall(), x0, 0.0, {.g = g}, {.sizes = {.steps = 3}}); }, "leave steps"},
      {[&] { odeint_until(fall(), x0, 0.0, {.g = g}, {.solver = "alf"}); }, "use dopri5"},
      {[&] { odeint_until(fall(), x0, 3.0, {.g = g, .latest = 3}); }, "begins at time 3"}};
  for (const auto& [call, part] : table) {
    const std::string sentence = sentence_of_error(call);
    EXPECT_LT(sentence.size(), 700u);
    EXPECT_NE(sentence.find(part), std::string::npos) << "says: " << sentence << "\nnot: " << part;
  }
}

}  // namespace
}  // namespace altprop::ode
