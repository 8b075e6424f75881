// Layers with a falling threshold: worked example, the clipped affine map that they are, and
// autograd of it.
#include "altprop/spiking/window.h"

#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "altprop/network/ops/autograd.h"
#include "altprop/spiking/coding.h"
#include "altprop/tensor/own_kernels.h"
#include "network/spikes.h"
#include "spiking/support.h"

namespace altprop::spiking::testing {
namespace {

OpPtr window(int64_t out, WindowSettings s = {}) {
  s.out = out;
  return std::make_shared<Window>(s);
}

TEST(SpikingWindow, WorkedExample) {
  Graph net = chain_of({4}, {window(3)});
  net.params()[0]->value.copy_(
      table({.5, -.9, 1.4, .3, .2, .6, 9, 9, 9, -.2, -.4, .1}, {4, 3}).t());
  const Tensor t = table({0.1, 0.4, INFINITY, 0.8}, {1, 4});
  Activity activity;
  const Tensor out = net.run(t, activity, {});
  expect_times(out, table({0.25625, INFINITY, 0}, {1, 3}), 1e-14);
  Feedback exact;
  Gradients sink;
  std::vector<Tensor> credits;
  net.sweep(activity, {{net.output_node(), table({1, 0, 0}, {1, 3})}}, exact, &sink,
            {.input_credits = &credits});
  expect_close(credits[0], table({0.3125, 0.1875, 0, -0.125}, {1, 4}), 1e-14, "times");
  expect_close(sink.of_param(*net.params()[0])[0],
               table({-0.72265625, -0.53515625, 0, -0.28515625}, {4}), 1e-14, "weights");
}

/// In activities a = 1 - t/T: clip((S + P)/(1 + S), 0, 1), silent as 0.
Tensor clipped_affine(const Tensor& a, const Tensor& m, const Tensor& w) {
  const Tensor s = at::mm(m, w.t()), p = at::mm(a, w.t());
  const Tensor early = p.ge(1), never = s.add(1).le(0).logical_or(s.add(p).lt(0));
  const Tensor safe = at::where(never.logical_or(early), at::ones_like(s), 1 + s);
  const Tensor inner = (s + p) / safe;
  return at::where(early, at::ones_like(s), at::where(never, at::zeros_like(s), inner));
}

Tensor activities(const Tensor& times, double T) {
  return times.eq(INFINITY).logical_not().to(times.scalar_type()) *
         (1 - times.masked_fill(times.isinf(), 0) / T);
}

/// The own kernel, and libtorch's operations.
const OwnKernels kWindowForms[] = {OwnKernels{}, OwnKernels{OwnKernel::SpikeEvents}};

TEST(SpikingWindow, IsAClippedAffineMapOfActivities) {
  for (const OwnKernels& form : kWindowForms)
    for (const at::ScalarType type : {at::kDouble, at::kFloat})
      for (const double T : {1.0, 2.5}) {
        const KernelsOff off(form);
        Graph net = chain_of({30}, {window(40, {.window = T})});
        net.to(at::kCPU, type);
        const Tensor w = some_weights(4, 40, 30, 0.02, 0.3, type);
        net.params()[0]->value.copy_(w);
        const Tensor t = some_times(3, 50, 30, T, 0.3, type);
        const Tensor out = net.predict(t), m = t.isfinite().to(at::kDouble);
        // Of the same numbers in float64. What is divided by has an error of its own, which is the
        // larger in the quotient the smaller it is.
        const Tensor exact = w.to(at::kDouble),
                     expected = clipped_affine(activities(t.to(at::kDouble), T), m, exact),
                     divided_by = (1 + at::mm(m, exact.t())).abs().clamp_max(1);
        const Tensor error = (activities(out.to(at::kDouble), T) - expected) * divided_by;
        EXPECT_LE(error.abs().max().item<double>(), type == at::kFloat ? 1e-6 : 1e-13);
        EXPECT_TRUE(out.masked_select(out.isfinite()).ge(0).all().item<bool>());
        EXPECT_TRUE(out.masked_select(out.isfinite()).le(T).all().item<bool>());
        const auto count = [&](const Tensor& which) { return which.sum().item<int64_t>(); };
        EXPECT_GT(count(out.isinf()), 100) << "silent";
        EXPECT_GT(count(out.eq(0)), 100) << "early";
        EXPECT_GT(count(out.gt(0).logical_and(out.isfinite())), 100) << "between";
      }
}

TEST(SpikingWindow, StackedLayersHaveTheGradientsOfThatMap) {
  Graph net = chain_of({8}, {window(12, {.clamp = INFINITY}), window(5, {.clamp = INFINITY})});
  const Tensor w1 = some_weights(1, 12, 8, 0.05, 0.4), w2 = some_weights(2, 5, 12, 0.05, 0.4);
  net.params()[0]->value.copy_(w1);
  net.params()[1]->value.copy_(w2);
  const Tensor t = some_times(3, 9, 8, 1, 0.2), cot = Stream(5).normal({9, 5}, at::kDouble);
  Activity activity;
  net.run(t, activity, {});
  Feedback exact;
  Gradients sink;
  std::vector<Tensor> credits;
  net.sweep(activity, {{net.output_node(), cot}}, exact, &sink, {.input_credits = &credits});
  // The same in activities; the marks of who fires do not move.
  const OpPtr map = autograd_op(
      "map",
      [](std::span<const Tensor> v) {
        const Tensor m = v[0].ne(0).to(at::kDouble);
        const Tensor h = clipped_affine(v[0], m, v[1]);
        return clipped_affine(h, h.detach().ne(0).to(at::kDouble), v[2]);
      },
      3);
  const std::vector<Spec> specs = {
      {{8}}, {.shape = {12, 8}, .batched = false}, {.shape = {5, 12}, .batched = false}};
  map->build(specs);
  Saved saved;
  const std::vector<Tensor> in = {activities(t, 1), w1, w2};
  const Tensor a = map->forward(in, saved, {});
  EXPECT_GT(a.gt(0).logical_and(a.lt(1)).sum().item<int64_t>(), 8);
  const Tensor silent = t.isinf();
  // t = 1 - a turns the sign of the output's credit, and once more that of the input's.
  expect_close(credits[0], map->vjp(saved, cot, 0).masked_fill(silent, 0), 1e-12, "inputs");
  expect_close(sink.of_param(*net.params()[0]), -map->vjp(saved, cot, 1).squeeze(0), 1e-12, "W1");
  expect_close(sink.of_param(*net.params()[1]), -map->vjp(saved, cot, 2).squeeze(0), 1e-12, "W2");
}

/// The layer behind times and in front of numbers that are finite where it is silent.
OpPtr windowed(OpPtr layer, std::vector<int64_t> shape) {
  auto net = std::make_shared<Graph>();
  const int x = net->add(direct_code(1), {net->input({.shape = std::move(shape)})}, "times");
  net->output(net->add(std::make_shared<test::Decay>(), {net->add(std::move(layer), {x}, "layer")},
                       "seen"));
  return net;
}

TEST(SpikingWindow, KeepsTheContractOfOperations) {
  CheckOptions o;
  o.step = 1e-6;
  o.float_tolerance = 2e-3;
  check_op(windowed(window(7), {9}), {{4, 9}}, o);
  check_op(windowed(window(7, {.window = 3}), {9}), {{4, 9}}, o);
  const Kernel kernel{.height = 3, .width = 2, .stride = 2, .padding = 1};
  check_op(windowed(window(3, {.kernel = kernel}), {2, 5, 4}), {{2, 2, 5, 4}}, o);
}

TEST(SpikingWindow, AConvolutionIsTheLayerOnEachWindowWithASilentBorder) {
  const Kernel kernel{.height = 3, .width = 2, .stride = 2, .padding = 1};
  Graph net = chain_of({2, 5, 6}, {window(4, {.kernel = kernel})}),
        dense = chain_of({12}, {window(4)});
  const Tensor w = some_weights(4, 4, 12, 0.05, 0.5);
  net.params()[0]->value.copy_(w.view({4, 2, 3, 2}));
  dense.params()[0]->value.copy_(w);
  const Tensor t = some_times(3, 3, 60).view({3, 2, 5, 6}), out = net.predict(t);
  const Tensor framed = at::full({3, 2, 7, 8}, INFINITY, at::kDouble);
  framed.narrow(2, 1, 5).narrow(3, 1, 6).copy_(t);
  for (int64_t y = 0; y < 3; ++y)
    for (int64_t x = 0; x < 4; ++x)
      expect_times(out.select(3, x).select(2, y),
                   dense.predict(framed.narrow(2, 2 * y, 3).narrow(3, 2 * x, 2).reshape({3, 12})),
                   1e-13);
}

TEST(SpikingWindow, TheClampBoundsDerivativesAlone) {
  // 1 + S = 0.01, in units of T: dt/dI = 100.
  for (const OwnKernels& form : kWindowForms)
    for (const double T : {1.0, 2.5}) {
      const KernelsOff off(form);
      const Tensor t = table({0, 0.797 * T}, {1, 2}), w = table({1.5, -2.49}, {1, 2});
      Tensor before;
      for (const double clamp : {1e5, 1.0}) {
        Graph net = chain_of({2}, {window(1, {.window = T, .clamp = clamp})});
        net.params()[0]->value.copy_(w);
        Activity activity;
        const Tensor out = net.run(t, activity, {});
        if (before.defined()) {
          EXPECT_TRUE(at::equal(out, before));
        }
        before = out;
        ASSERT_TRUE(out.isfinite().all().item<bool>());
        Feedback exact;
        Gradients sink;
        std::vector<Tensor> credits;
        net.sweep(activity, {{net.output_node(), at::ones({1, 1}, at::kDouble)}}, exact, &sink,
                  {.input_credits = &credits});
        EXPECT_NEAR(credits[0][0][0].item<double>(), 1.5 * std::min(clamp, 100.0), 1e-9);
        // The first input fires at 0, so that its weight learns by dt/dS alone.
        const double by_spikes = -(2 * T - 2.49 * 0.797 * T) * 1e4;
        EXPECT_NEAR(sink.of_param(*net.params()[0])[0][0].item<double>(),
                    std::max(by_spikes, -clamp), 1e-6);
      }
    }
}

TEST(SpikingWindow, OddInputs) {
  Graph net = chain_of({2}, {window(1)});
  const auto at_weights = [&](double a, double b, const Tensor& t) {
    net.params()[0]->value.copy_(table({a, b}, {1, 2}));
    return net.predict(t).item<double>();
  };
  const Tensor silent = at::full({1, 2}, INFINITY, at::kDouble);
  EXPECT_EQ(at_weights(5, 5, silent), 1) << "the threshold falls to 0 at the end of the window";
  EXPECT_EQ(at_weights(-0.5, 0, table({0.5, INFINITY}, {1, 2})), INFINITY);
  EXPECT_EQ(at_weights(-3, 0, table({0.5, INFINITY}, {1, 2})), INFINITY) << "1 + S below 0";
  EXPECT_EQ(at_weights(-1, 0, table({1, INFINITY}, {1, 2})), INFINITY) << "1 + S = 0, no division";
  EXPECT_EQ(at_weights(100, 0, table({0.5, INFINITY}, {1, 2})), 0) << "at once";
  EXPECT_TRUE(std::isnan(at_weights(NAN, 0, table({0.5, INFINITY}, {1, 2}))));
  EXPECT_TRUE(std::isnan(at_weights(1, 1, table({0.5, NAN}, {1, 2}))));
  EXPECT_THROW(window(0), Refusal);
  EXPECT_THROW(window(2, {.window = 0}), Refusal);
  EXPECT_THROW(window(2, {.clamp = 0}), Refusal);
  EXPECT_THROW(window(2, {.window = INFINITY}), Refusal);
}

}  // namespace
}  // namespace altprop::spiking::testing
