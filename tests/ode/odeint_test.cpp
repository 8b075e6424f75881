// Integration without a network around: against blocks, closed forms and finite differences; and
// events, whose times are implicit functions.
#include "altprop/ode/odeint.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/network/ops/combine.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;

/// f(t, x) = tanh(x W^T + t u) as a function with its own derivative or without, and as a graph.
struct TanhField {
  ParamPtr w = std::make_shared<Param>("w", draw("w", {3, 3}));
  ParamPtr u = std::make_shared<Param>("u", draw("u", {3}));

  static Tensor value(const Tensor& t, const Tensor& x, std::span<const Tensor> p) {
    return at::tanh(at::matmul(x, p[0].t()) + t * p[1]);
  }
  std::shared_ptr<Graph> graph(bool own_vjp, int* calls = nullptr) const {
    Function f{.value = value, .params = {w, u}};
    if (own_vjp)
      f.vjp = [calls](const Tensor& t, const Tensor& x, std::span<const Tensor> p,
                      const Tensor& cot) {
        if (calls) ++*calls;
        const Tensor y = value(t, x, p), d = cot * (1 - y * y);
        return Function::Pulled{d.mv(p[1]).unsqueeze(1), d.mm(p[0]), {d.t().mm(x), (d * t).sum(0)}};
      };
    return function(std::move(f), {3});
  }
};

Tensor seen_of(const TanhField& f, const Tensor& x0, const std::vector<double>& times,
               const OdeintOptions& options, const Tensor& cot) {
  return (odeint(f.graph(true), x0, times, options).outputs * cot).sum();
}

TEST(Odeint, EveryCreditIsThatOfFiniteDifferences) {
  at::NoGradGuard no_grad;
  const TanhField f;
  const Tensor x0 = draw("x"), cot = draw("cot", {4, 4, 3});
  const std::vector<double> times = {-0.3, 0.2, 0.5, 1.1};
  for (const bool interpolate : {false, true})
    for (const std::string solver : {"rk4", "dopri5"}) {
      const OdeintOptions options{
          .solver = solver, .sizes = {.steps = 3}, .interpolate = interpolate};
      for (const bool own : {true, false}) {
        SCOPED_TRACE(solver + (own ? " own vjp" : " autograd"));
        const auto graph = f.graph(own);
        const Solution solved = odeint(graph, x0, times, options);
        EXPECT_TRUE(at::equal(solved.outputs.select(1, 0), x0));
        Gradients gradients;
        const Pulled pulled = ode_vjp(solved, cot, &gradients);
        const Tensor move = draw("move");
        const auto difference = [&](const std::function<Tensor(double)>& at) {
          return ((at(1e-5) - at(-1e-5)) / 2e-5).item<double>();
        };
        EXPECT_NEAR((pulled.of_x0 * move).sum().item<double>(), difference([&](double e) {
                      return seen_of(f, x0 + move * e, times, options, cot);
                    }),
                    1e-7);
        for (size_t k = 0; k < times.size(); ++k) {
          // Between the ends equal steps follow the first and the last time, as the credits have
          // it.
          EXPECT_NEAR(pulled.of_times[static_cast<int64_t>(k)].item<double>(),
                      difference([&](double e) {
                        std::vector<double> moved = times;
                        moved[k] += e;
                        return seen_of(f, x0, moved, options, cot);
                      }),
                      1e-6)
              << k;
        }
        for (const ParamPtr& param : {f.w, f.u}) {
          const Tensor kept = param->value.clone(), way = draw("way", param->value.sizes());
          const double expected = difference([&](double e) {
            param->value.copy_(kept + way * e);
            const Tensor seen = seen_of(f, x0, times, options, cot);
            param->value.copy_(kept);
            return seen;
          });
          EXPECT_NEAR((gradients.of_param(*param) * way).sum().item<double>(), expected, 1e-7);
        }
      }
    }
}

TEST(Odeint, MethodsAgreeAndBlocksSolveTheSame) {
  at::NoGradGuard no_grad;
  const auto block = testing::drawn_block({.sizes = {.rtol = 1e-6}, .outputs = {0, 0.4, 1}});
  std::shared_ptr<Graph> f(std::shared_ptr<void>(), const_cast<Graph*>(block->parts()));
  const Tensor x0 = draw("x"), cot = draw("cot", {4, 3, 3});
  for (const Gradient gradient : {Gradient::Naive, Gradient::Symplectic, Gradient::Adjoint}) {
    const testing::Found expected = testing::pass(*block, gradient, x0, cot);
    const Solution solved =
        odeint(f, x0, {0, 0.4, 1}, {.sizes = {.rtol = 1e-6}, .gradient = gradient});
    EXPECT_TRUE(at::equal(solved.outputs, expected.out));
    EXPECT_GT(solved.costs().accepted, 1);
    Gradients gradients;
    EXPECT_LE(apart(ode_vjp(solved, cot, &gradients).of_x0, expected.of_input), 1e-14);
    for (size_t i = 0; i < expected.of_params.size(); ++i)
      EXPECT_LE(apart(gradients.of_param(*block->params()[i]), expected.of_params[i]), 1e-14);
  }
}

TEST(Odeint, BackwardsInTimeComesBackAndTellsTheCreditOfTheBegin) {
  at::NoGradGuard no_grad;
  const auto f =
      function({.value = [](const Tensor& t, const Tensor& x, auto) { return x * t; }}, {3});
  const Tensor x0 = draw("x");
  const OdeintOptions tight{.sizes = {.rtol = 1e-10, .atol = 1e-12}};
  const Solution there = odeint(f, x0, {0.5, 2}, tight),
                 back = odeint(f, there.outputs.select(1, 1), {2, 1, 0.5}, tight);
  EXPECT_LE(apart(back.outputs.select(1, 2), x0), 1e-8);
  // x(t1) = x0 exp((t1^2 - t0^2) / 2): d/dt1 = t1 x, d/dt0 = -t0 x.
  const Tensor cot = at::zeros_like(back.outputs);
  cot.select(1, 2).fill_(1);
  const Pulled pulled = ode_vjp(back, cot);
  EXPECT_NEAR(pulled.of_times[2].item<double>(), (x0 * 0.5).sum().item<double>(), 1e-6);
  EXPECT_NEAR(pulled.of_times[0].item<double>(), -(x0 * 2).sum().item<double>(), 1e-6);
}

/// Times of each sample, some of them masked: each is as it is alone.
TEST(Odeint, SamplesHaveTimesOfTheirOwn) {
  at::NoGradGuard no_grad;
  const TanhField field;
  const auto f = field.graph(true);
  const double none = std::nan("");
  const std::vector<std::vector<double>> rows = {
      {0, 0.5, 1, 1.5}, {-1, none, 2, none}, {1, 0.5, 0.2, -3}, {0.3, none, none, none}};
  const Tensor times = at::empty({4, 4}, at::kDouble), x0 = draw("x"), cot = draw("cot", {4, 4, 3});
  for (int64_t b = 0; b < 4; ++b)
    for (int64_t k = 0; k < 4; ++k)
      times[b][k] = rows[static_cast<size_t>(b)][static_cast<size_t>(k)];
  for (const bool interpolate : {false, true})
    for (const int64_t steps : {0, 3}) {
      const OdeintOptions options{.sizes = {.steps = steps, .rtol = 1e-6, .atol = 1e-8},
                                  .interpolate = interpolate};
      const Solution all = odeint(f, x0, times, options);
      Gradients sum;
      const Pulled pulled = ode_vjp(all, cot, &sum);
      Tensor of_w = at::zeros({3, 3}, at::kDouble);
      for (int64_t b = 0; b < 4; ++b) {
        std::vector<double> given;
        std::vector<int64_t> places;
        for (int64_t k = 0; k < 4; ++k) {
          const double time = rows[static_cast<size_t>(b)][static_cast<size_t>(k)];
          if (std::isnan(time)) {
            EXPECT_EQ(all.outputs[b][k].abs().max().item<double>(), 0);
            EXPECT_EQ(pulled.of_times[b][k].item<double>(), 0);
            continue;
          }
          given.push_back(time);
          places.push_back(k);
        }
        const Tensor index = at::tensor(places, at::kLong);
        const Solution one = odeint(f, x0.narrow(0, b, 1), given, options);
        EXPECT_LE(apart(all.outputs[b].index_select(0, index), one.outputs[0]), 1e-13);
        Gradients own;
        const Pulled alone = ode_vjp(one, cot.narrow(0, b, 1).index_select(1, index), &own);
        EXPECT_LE(apart(pulled.of_x0[b], alone.of_x0[0]), 1e-13);
        EXPECT_LE(
            (pulled.of_times[b].index_select(0, index) - alone.of_times).abs().max().item<double>(),
            1e-9);
        if (given.size() > 1) of_w += own.of_param(*field.w);
      }
      EXPECT_LE(apart(sum.of_param(*field.w), of_w), 1e-13);
    }
}

std::string sentence_of_error(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Odeint, WrongInputsAreToldInOneSentence) {
  at::NoGradGuard no_grad;
  const TanhField field;
  const auto f = field.graph(true);
  const Tensor x0 = draw("x");
  const std::vector<std::pair<std::function<void()>, std::string>> table = {
      {[&] { odeint(f, x0, std::vector<double>{}); }, "have no begin"},
      {[&] {
         odeint(f, x0, {0, 1, 1});
       },
       "not in order at number 2"},
      {[&] {
         odeint(f, x0, {0, 1, 0.5});
       },
       "not in order at number 2"},
      {[&] {
         odeint(f, x0, {0, std::nan("")});
       },
       "not a number"},
      {[&] {
         odeint(f, x0, {0, INFINITY});
       },
       "not in order"},
      {[&] {
         odeint(f, draw("x", {4, 2}), {0, 1});
       },
       "states of shape [3]"},
      {[&] {
         odeint(f, x0, {0, 1}, {.solver = "rk4"});
       },
       "steps=8"},
      {[&] {
         odeint(f, x0, {0, 1}, {.solver = "rk5"});
       },
       "rk5"},
      {[&] {
         odeint(f, x0, {0, 1}, {.constants = {x0}});
       },
       "0 constants, but is given 1"},
      {[&] {
         odeint(f, x0, {0, 1}, {.gradient = Gradient::Mali});
       },
       "mali"},
      {[&] {
         odeint(f, x0, at::zeros({3, 2}, at::kDouble));
       },
       "[samples, times]"},
      {[&] {
         odeint(f, x0, at::zeros({4, 2}, at::kDouble));
       },
       "of sample 0 are not in order"},
      {[&] {
         ode_vjp(odeint(f, x0, {0, 1}), draw("cot"));
       },
       "their credit has [4, 3]"},
      {[&] {
         const Solution once = odeint(f, x0, {0, 1});
         ode_vjp(once, at::ones_like(once.outputs));
         ode_vjp(once, at::ones_like(once.outputs));
       },
       "credited once"},
      {[&] {
         odeint(function({.value = [](const Tensor&, const Tensor& x, auto) { return x.sum(1); }},
                         {3}),
                x0, {0, 1});
       },
       "rate of change"}};
  for (const auto& [call, part] : table) {
    const std::string sentence = sentence_of_error(call);
    EXPECT_LT(sentence.size(), 700u);
    EXPECT_NE(sentence.find(part), std::string::npos) << "says: " << sentence << "\nnot: " << part;
  }
}

TEST(Odeint, TheBeginAloneIsTheBegin) {
  at::NoGradGuard no_grad;
  const Tensor x0 = draw("x"), cot = draw("cot", {4, 1, 3});
  const Solution solved = odeint(TanhField().graph(true), x0, std::vector<double>{0.5});
  EXPECT_TRUE(at::equal(solved.outputs.select(1, 0), x0));
  EXPECT_TRUE(at::equal(ode_vjp(solved, cot).of_x0, cot.select(1, 0)));
}

// ---- events ----

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
