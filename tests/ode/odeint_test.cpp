// Integration without a network around: against blocks, closed forms and finite differences.
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
using testing::sentence_of_error;

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

}  // namespace
}  // namespace altprop::ode
