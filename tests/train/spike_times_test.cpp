// Networks whose units may never fire: +inf is a value like any other, its credit is exactly 0, and
// a run with such units has not diverged.
#include <gtest/gtest.h>

#include <functional>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/shape.h"
#include "altprop/rules/registry.h"
#include "altprop/train/trainer.h"
#include "network/check_op.h"
#include "network/spikes.h"
#include "network/support.h"
#include "support/device.h"

namespace altprop::test {
namespace {

/// fc1 -> times; the earlier of each and of a rearranged copy -> real values -> fc2.
Graph spiking_net(bool ends_in_times = false) {
  Graph net;
  const int t = net.add(std::make_shared<Latency>(),
                        {net.add(linear(6), {net.input({{4}})}, "fc1")}, "times");
  const int first =
      net.add(std::make_shared<FirstSpike>(),
              {t, net.add(flatten(), {net.add(reshape({2, 3}), {t}, "grid")}, "row")}, "first");
  net.output(ends_in_times ? first
                           : net.add(linear(3),
                                     {net.add(std::make_shared<Decay>(), {first}, "rate")}, "fc2"));
  net.to(test_device(), at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  return net;
}

/// Times from outside -> real values -> fc1.
Graph net_of_times() {
  Graph net;
  const int t = net.input({.shape = {4}, .kind = Kind::SpikeTime});
  net.output(net.add(linear(3), {net.add(std::make_shared<Decay>(), {t}, "rate")}, "fc1"));
  net.to(test_device(), at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  return net;
}

Tensor few_rows() { return Stream(2).normal({12, 4}, on_device(at::kDouble)); }

TEST(SpikeTimes, SilentUnitsAreInfiniteAndTheirCreditIsZero) {
  const Graph net = spiking_net();
  Activity activity;
  const Tensor x = few_rows();
  const Tensor y = net.run(x, activity, {Mode::Train, Stream(1)}, {.keep_values = true});
  const Tensor& times = activity.values[static_cast<size_t>(net.find("times"))];
  const Tensor silent = times.isinf();
  ASSERT_GT(silent.sum().item<int64_t>(), 5);
  ASSERT_LT(silent.sum().item<int64_t>(), silent.numel() - 5);
  EXPECT_TRUE(legal(times, Kind::SpikeTime));
  EXPECT_TRUE(legal(y, Kind::Real));
  // The credit that arrives behind fc1: what its bias learns, sample by sample.
  Feedback exact;
  double lively = 0;
  for (int64_t b = 0; b < 12; ++b) {
    Activity alone;
    const Tensor out = net.run(x.narrow(0, b, 1), alone, {Mode::Train, Stream(1)});
    Gradients sink;
    net.sweep(alone, {{net.output_node(), at::ones_like(out)}}, exact, &sink);
    const Tensor credit = sink.of_param(*net.params()[1]);
    EXPECT_TRUE(credit.isfinite().all().item<bool>());
    EXPECT_EQ(largest(credit.masked_select(silent[b])), 0) << "exactly";
    lively = std::max(lively, largest(credit.masked_select(silent[b].logical_not())));
  }
  EXPECT_GT(lively, 1e-3);
}

TEST(SpikeTimes, OperationsOnThemKeepTheContract) {
  CheckOptions few;
  few.float_tolerance = 1e-3;
  check_op(std::make_shared<FirstSpike>(), {{3, 4}, {3, 4}}, few);
  check_op(std::make_shared<Decay>(), {{3, 4}}, few);
}

data::Splits small_data() {
  const Tensor x = few_rows().to(at::kFloat).cpu();
  return data::from_tensors(x, at::arange(12).remainder(3), x, at::arange(12).remainder(3));
}

RunSettings spiking_run() {
  RunSettings s;
  s.batch = 6;
  s.epochs = 3;
  s.dtype = "float64";
  s.device = test_device().str();
  s.optimizer.lr = 0.01;
  s.probe_every = 0;
  return s;
}

/// Spikes of which every third never comes.
data::Splits times_with_silence() {
  Tensor x = few_rows().to(at::kFloat).cpu().abs();
  x.view(-1).slice(0, 0, {}, 3).fill_(INFINITY);
  return data::from_tensors(x, at::arange(12).remainder(3), x, at::arange(12).remainder(3));
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// Trains; writes NaN into a parameter after some steps if it is named.
std::string end_of_run(const std::string& rule_name, const std::string& poisoned,
                       Graph net = spiking_net(), const data::Splits& data = small_data()) {
  const auto loss = make_loss("cross-entropy");
  const auto rule = make_rule(rule_name);
  Trainer trainer(net, *rule, *loss, data, spiking_run());
  struct Poison : Observer {
    Graph& net;
    std::string name;
    Poison(Graph& net, std::string name) : net(net), name(std::move(name)) {}
    void on_step(const Trainer& trainer) override {
      if (trainer.position().step != 3) return;
      for (const ParamPtr& param : net.params())
        if (param->name == name) param->value.view(-1)[0] = NAN;
    }
  } poison(net, poisoned);
  trainer.observe(poison);
  try {
    return trainer.run();
  } catch (const Diverged& diverged) {
    return diverged.what();
  }
}

TEST(SpikeTimes, ARunWithSilentUnitsHasNotDiverged) {
  EXPECT_EQ(end_of_run("backprop", ""), "done");
  // A rule by which it does not spread to the layers before.
  const std::string behind = end_of_run("last-layer-only", "fc2.bias");
  EXPECT_TRUE(contains(behind, "the parameter 'fc2.")) << behind;
  const std::string before = end_of_run("last-layer-only", "fc1.bias");
  EXPECT_TRUE(contains(before, "'fc1")) << before;
}

TEST(SpikeTimes, InputsThatNeverFireAreDataOfNetworksOfTimes) {
  EXPECT_EQ(end_of_run("backprop", "", net_of_times(), times_with_silence()), "done");
  const std::string poisoned =
      end_of_run("backprop", "fc1.bias", net_of_times(), times_with_silence());
  EXPECT_TRUE(contains(poisoned, "the parameter 'fc1.")) << poisoned;
  EXPECT_TRUE(contains(error_of([] {
                         end_of_run("backprop", "", spiking_net(), times_with_silence());
                       }),
                       "has inputs that are not finite numbers, in 12 of its 12 samples"));
}

TEST(SpikeTimes, WhatCannotBeLearntFromIsSaidByTheKindOfTheInputs) {
  Tensor x = at::ones({3, 2});
  x[1][0] = INFINITY;
  EXPECT_EQ(not_finite_in(x, Kind::SpikeTime), "");
  EXPECT_TRUE(contains(not_finite_in(x, Kind::Real), "the inputs of 1 of 3 samples"));
  EXPECT_TRUE(
      contains(not_finite_in(at::ones({3, 2}), Kind::SpikeTime, x), "the targets of 1 of 3"));
  for (const float never : {-INFINITY, NAN}) {
    x[2][1] = never;
    EXPECT_TRUE(contains(not_finite_in(x, Kind::SpikeTime), "of 1 of 3 samples")) << never;
    EXPECT_TRUE(contains(error_of([&] { data::from_tensors(x, at::arange(3)); }),
                         "not finite numbers, in 1 of its 3 samples"));
  }
}

TEST(SpikeTimes, ALossOfRealValuesIsRefusedWhenTheRunIsMade) {
  Graph net = spiking_net(true);
  const auto loss = make_loss("cross-entropy");
  const auto rule = make_rule("backprop");
  const data::Splits data = small_data();
  EXPECT_TRUE(contains(message_of([&] { Trainer(net, *rule, *loss, data, spiking_run()); }),
                       "its output 'first' gives spike times, which the loss cross-entropy is not "
                       "for"));
}

}  // namespace
}  // namespace altprop::test
