// Layers of first crossings as operations: the contract, delays, windows, what is refused and remedies of silent units.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "altprop/network/ops/activation.h"
#include "altprop/tensor/own_kernels.h"
#include "network/check_op.h"
#include "network/spikes.h"
#include "network/support.h"
#include "spiking/support.h"

namespace altprop::spiking::testing {
namespace {

/// All derivatives of a layer, of outputs that all are finite numbers: exp(-t), 0 of silent ones.
OpPtr seen(OpPtr layer, std::vector<int64_t> shape) {
  auto net = std::make_shared<Graph>();
  // Softplus makes times of the test's random numbers.
  const int x = net->add(activation("softplus"), {net->input({.shape = std::move(shape)})});
  const int t = net->add(std::make_shared<test::Latency>(), {x}, "times");
  net->output(net->add(std::make_shared<test::Decay>(), {net->add(std::move(layer), {t}, "layer")},
                       "seen"));
  return net;
}

TEST(SpikingEvent, KeepsTheContractOfOperations) {
  CheckOptions o;
  o.float_tolerance = 2e-3;
  o.step = 1e-6;
  for (const bool plain : {false, true}) {
    const KernelsOff off(plain ? OwnKernels{OwnKernel::SpikeEvents} : OwnKernels{});
    check_op(seen(event(5), {6}), {{4, 6}}, o);
    check_op(seen(event(5, {.learn_threshold = true}), {6}), {{4, 6}}, o);
    EventSettings conv{.out = 3, .kernel = {.height = 3, .width = 2, .stride = 2, .padding = 1}};
    check_op(seen(std::make_shared<Event>(conv), {2, 5, 4}), {{2, 2, 5, 4}}, o);
  }
  check_op(seen(event(5, {.delays = true}), {6}), {{4, 6}}, o);
  check_op(seen(event(5, {.learn_threshold = true, .delays = true}), {6}), {{4, 6}}, o);
}

/// Other weights, same activity: also where the gradient of another parameter reads the weight.
TEST(SpikingEvent, ASubstituteStandsForTheWeightInTheCreditOfDelays) {
  const auto op = event(5, {.learn_threshold = true, .delays = true});
  const Spec in{.shape = {6}, .kind = Kind::SpikeTime};
  op->build({&in, 1});
  for (const ParamPtr& p : op->params())
    p->value = Stream(1).at(p->name).uniform(0.1, 0.6, p->value.sizes(), at::kDouble);
  const Tensor times = Stream(2).uniform(0, 1, {4, 6}, at::kDouble),
               cot = Stream(3).normal({4, 5}, at::kDouble),
               other = Stream(4).normal({5, 6}, at::kDouble);
  Saved saved;
  op->forward({&times, 1}, saved, {Mode::Train});
  Gradients own, with, replaced;
  op->accumulate(saved, cot, 1, own, nullptr, nullptr);
  op->accumulate(saved, cot, 1, with, &other, nullptr);
  op->weight()->value = other;
  op->accumulate(saved, cot, 1, replaced, nullptr, nullptr);
  for (const ParamPtr& p : op->params())
    EXPECT_TRUE(at::equal(with.of_param(*p), replaced.of_param(*p))) << p->name;
  const Param& delay = *op->params().back();
  EXPECT_FALSE(at::allclose(with.of_param(delay), own.of_param(delay)));
}

TEST(SpikingEvent, AConvolutionIsTheLayerOnEachWindowWithASilentBorder) {
  const Kernel kernel{.height = 3, .width = 2, .stride = 2, .padding = 1};
  EventSettings s{.out = 4, .kernel = kernel};
  Graph net = chain_of({2, 5, 6}, {std::make_shared<Event>(s)});
  const Tensor w = some_weights(4, 4, 12, 0.3, 0.5);
  net.params()[0]->value.copy_(w.view({4, 2, 3, 2}));
  const Tensor t = some_times(3, 3, 60).view({3, 2, 5, 6});
  const Tensor out = net.predict(t);
  ASSERT_EQ(out.sizes(), IntArrayRef({3, 4, 3, 4}));
  const Tensor framed = at::full({3, 2, 7, 8}, INFINITY, at::kDouble);
  framed.narrow(2, 1, 5).narrow(3, 1, 6).copy_(t);
  for (int64_t y = 0; y < 3; ++y)
    for (int64_t x = 0; x < 4; ++x) {
      const Tensor window = framed.narrow(2, 2 * y, 3).narrow(3, 2 * x, 2).reshape({3, 12});
      expect_times(out.select(3, x).select(2, y), closed_form(window, w, at::ones({4})), 1e-11);
    }
}

TEST(SpikingEvent, BoundOnTheInverseSlope) {
  // A slope of 1e-4 after the second input.
  const Tensor t = table({0, 0.5}, {1, 2}), w = table({1, -0.9999}, {1, 2});
  for (const double bound : {0.0, 100.0}) {
    Graph net = chain_of({2}, {event(1, {.max_inv_slope = bound})});
    net.params()[0]->value.copy_(w);
    Activity activity;
    net.run(t, activity, {});
    Feedback exact;
    std::vector<Tensor> credits;
    net.sweep(activity, {{net.output_node(), at::ones({1, 1}, at::kDouble)}}, exact, nullptr,
              {.input_credits = &credits});
    EXPECT_NEAR(credits[0][0][0].item<double>(), bound > 0 ? bound : 1e4, 1e-6);
  }
}

TEST(SpikingEvent, RefusesWhatMakesNoSense) {
  EXPECT_THROW(event(0), Refusal);
  EXPECT_THROW(event(3, {.threshold = 0}), Refusal);
  EXPECT_THROW(event(3, {.threshold = -1}), Refusal);
  EXPECT_THROW(event(3, {.threshold = NAN}), Refusal);
  EXPECT_THROW(event(3, {.active = 0}), Refusal);
  EXPECT_THROW(event(3, {.strength = -1}), Refusal);
  EXPECT_THROW(chain_of({2, 4, 4}, {event(3)}), Refusal) << "an image";
  EventSettings conv{.out = 3, .kernel = {.height = 5}};
  EXPECT_THROW(chain_of({2, 4, 4}, {std::make_shared<Event>(conv)}), Refusal) << "too large";
}

TEST(SpikingEvent, RemediesOfSilentUnits) {
  // The penalty: central differences of strength * mean max(0, theta - sum w).
  EventSettings s{.out = 5, .threshold = 1.2, .learn_threshold = true, .strength = 0.7};
  Graph net = chain_of({4}, {std::make_shared<Event>(s)});
  const auto layer = std::dynamic_pointer_cast<Event>(net.node(1).op);
  net.params()[0]->value.copy_(some_weights(1, 5, 4, 0.3, 0.4));
  const auto penalty = [&] {
    return 0.7 *
           (layer->thresholds() - layer->weight()->value.sum(1)).clamp_min(0).mean().item<double>();
  };
  Gradients sink;
  net.penalise(0.5, sink);
  for (const ParamPtr& param : net.params()) {
    const Tensor flat = param->value.view(-1), found = sink.of_param(*param).reshape(-1);
    for (int64_t i = 0; i < flat.numel(); ++i) {
      const double kept = flat[i].item<double>();
      flat[i].fill_(kept + 1e-6);
      const double above = penalty();
      flat[i].fill_(kept - 1e-6);
      const double below = penalty();
      flat[i].fill_(kept);
      EXPECT_NEAR(found[i].item<double>(), 0.5 * (above - below) / 2e-6, 1e-9) << param->name;
    }
  }
  // The push: of a silent output that is wanted earlier, to the inputs that did fire.
  Graph pushed = chain_of({3}, {event(2, {.remedy = Remedy::SilentPush, .strength = 0.25})});
  pushed.params()[0]->value.fill_(-1);
  Activity activity;
  const Tensor t = table({0, 0.4, INFINITY}, {1, 3});
  ASSERT_TRUE(pushed.run(t, activity, {}).isinf().all().item<bool>());
  Feedback exact;
  Gradients found;
  pushed.sweep(activity, {{pushed.output_node(), table({3, -2}, {1, 2})}}, exact, &found,
               {.scale = 0.5});
  EXPECT_TRUE(
      at::equal(found.of_param(*pushed.params()[0]), table({-0.125, -0.125, 0, 0, 0, 0}, {2, 3})));
  Gradients none;
  pushed.penalise(1, none);
  EXPECT_FALSE(none.of_param(*pushed.params()[0]).defined());
}

}  // namespace
}  // namespace altprop::spiking::testing
