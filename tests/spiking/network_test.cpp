// Networks of spike times by their texts: what they are, what they refuse and with which sentences,
// which rules train them, and that they learn.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/architecture.h"
#include "altprop/network/gradients.h"
#include "altprop/rules/registry.h"
#include "altprop/spiking/event.h"
#include "altprop/spiking/fire_at.h"
#include "altprop/train/experiment.h"
#include "network/support.h"
#include "spiking/support.h"
#include "support/learnt.h"

namespace altprop::spiking::testing {
namespace {

using test::contains;
using test::message_of;

std::string said(const std::string& text, std::vector<int64_t> shape = {1, 8, 8}) {
  return message_of([&] { network(text, {.input_shape = shape, .classes = 3}); });
}

TEST(SpikingNetworks, TextsMakeThem) {
  for (const char* text :
       {"relpsp:64-20-3", "relpsp:*-20-20-*:window", "relpsp:*-20-*:window:head=times",
        "relpsp:*-9-*:delays=true,learn-threshold=true,remedy=silent-push,strength=0.1",
        "chain: latency, relpsp-event-conv 4 k=3 p=1, earliest-pool 2, relpsp-event 9, "
        "relpsp-event *",
        "chain: conv 4, direct-code T=2, relpsp-window-conv 4 k=3 T=2, relpsp-window 9 T=2 "
        "clamp=0, "
        "membrane * T=2",
        "chain: latency, relpsp-window 9 slope=constant T=3 T-in=1 bias=false, membrane * T=3"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(said(text), "no error");
    Graph net = network(text, {.input_shape = {1, 8, 8}, .classes = 3});
    initialise(net, Initialiser("xavier"), Stream(1));
    const Tensor out = net.predict(Stream(2).uniform(0, 1, {5, 1, 8, 8}));
    EXPECT_EQ(out.sizes(), IntArrayRef({5, 3}));
    EXPECT_TRUE(legal(out, net.node(net.output_node()).spec.kind));
  }
  const Graph net = network("relpsp:784-800-10");
  EXPECT_EQ(test::parameters(net), 784 * 800 + 800 * 10);
}

TEST(SpikingNetworks, WhatHasNoMeaningIsRefusedWithWhatToDo) {
  const std::string front = "chain: latency, ";
  const auto expect = [&](const std::string& text, const std::string& part) {
    const std::string sentence = said(text);
    EXPECT_TRUE(contains(sentence, part)) << text << ": " << sentence;
    EXPECT_LT(sentence.size(), 700u);
  };
  for (const char* word : {"relu", "tanh", "bn", "ln", "dropout 0.1", "scale 2"})
    expect(front + word + ", relpsp-event *", "have their activation built in");
  expect(front + "avgpool 2, relpsp-event *", "use earliest-pool");
  expect(front + "maxpool 2, relpsp-event *", "use earliest-pool");
  expect(front + "gap, relpsp-event *", "use earliest-pool");
  expect(front + "linear *", "use relpsp-event, relpsp-window or membrane");
  expect(front + "conv 4, relpsp-event *", "use relpsp-event-conv or relpsp-window-conv");
  expect(front + "latency, relpsp-event *", "spike times already");
  expect("chain: relpsp-event *", "put latency or direct-code in front");
  expect("chain: relpsp-window *", "put latency or direct-code in front");
  expect("chain: membrane *", "use linear");
  expect("chain: earliest-pool 2, linear *", "use maxpool");
  expect(
      "dag: t = latency(flatten(input)); a = relpsp-event(t, 9); b = relpsp-event(t, 9); "
      "output relpsp-event(add(a, b), 3)",
      "leave the skip connection out");
  expect(
      "dag: t = latency(flatten(input)); a = relpsp-event(t, 9); "
      "output relpsp-event(multiply(a, a), 3)",
      "no product");
  // Units fire once: nothing goes round, and no word unrolls spike times over steps.
  expect(
      "dag: t = latency(flatten(input)); a = relpsp-event(concat(t, a), 9); "
      "output relpsp-event(a, 3)",
      "no node of that name");
  expect(front + "rnn 9, relpsp-event *", "no operation 'rnn'");
  expect("relpsp:64-9-3:event:head=membrane", "use variant=window");
  expect("relpsp", "sizes are missing");
  expect("chain: latency, relpsp-window 9 slope=constant clamp=3, membrane *",
         "clamp has no effect");
  expect("chain: latency, relpsp-window 9 bias=false, membrane *", "bias has no effect");
  expect("chain: latency, relpsp-event 9 threshold=0, relpsp-event *", "threshold");
  EXPECT_EQ(
      said("dag: t = latency(flatten(input)); a = relpsp-event(t, 9); b = relpsp-event(t, 4); "
           "output relpsp-event(concat(a, b), 3)"),
      "no error");
}

/// Stripes as small images from 0 to 1, of which a quarter is black.
std::shared_ptr<const data::Splits> bright_stripes() {
  const Tensor y = at::arange(600).remainder(3);
  Tensor x = Stream(5).uniform(-0.25, 0.55, {600, 1, 6, 6});
  for (int64_t i = 0; i < 600; ++i) x[i].narrow(1, 2 * y[i].item<int64_t>(), 2).add_(0.25);
  x.clamp_(0, 1);
  return std::make_shared<data::Splits>(data::from_tensors(
      x.narrow(0, 0, 500), y.narrow(0, 0, 500), x.narrow(0, 500, 100), y.narrow(0, 500, 100)));
}

RunSettings settings_of(const std::string& net, const std::string& loss) {
  RunSettings s;
  s.net = net;
  s.loss = loss;
  s.batch = 25;
  s.epochs = 8;
  s.threads = 1;
  s.probe_every = 0;
  s.optimizer.kind = "adam";
  s.optimizer.lr = 5e-3;
  s.seed += static_cast<decltype(s.seed)>(test::seed_offset());
  return s;
}

double trained(RunSettings s) {
  Experiment e(std::move(s), bright_stripes());
  EXPECT_EQ(e.trainer().run(), "done");
  return *e.trainer().evaluate(e.data().test).accuracy();
}

TEST(SpikingNetworks, Learn) {
  test::expect_learnt_at_least("event",
                               trained(settings_of("relpsp:*-30-*", "spike-cross-entropy")), 0.8);
  test::expect_learnt_at_least("window",
                               trained(settings_of("relpsp:*-30-*:window", "cross-entropy")), 0.8);
  RunSettings times = settings_of("relpsp:*-30-*:window:head=times", "spike-squared-error");
  times.spikes = {.silent_at = 1, .early = 0.2, .late = 0.9};
  test::expect_learnt_at_least("times", trained(times), 0.6);
  RunSettings images = settings_of(
      "chain: latency, relpsp-event-conv 8 k=3 active=0.4, earliest-pool 2, relpsp-event *",
      "spike-cross-entropy");
  images.epochs = 20;
  test::expect_learnt_at_least("event conv", trained(images), 0.6);
  test::expect_learnt_at_least(
      "constant",
      trained(
          settings_of("chain: latency, relpsp-window 30 slope=constant T=3 T-in=1, membrane * T=3",
                      "cross-entropy")),
      0.8);
}

TEST(SpikingNetworks, RulesThatAskForProductsWithJacobiansTrainThemAndOthersRefuse) {
  const Graph net = network("relpsp:36-20-20-3", {.input_shape = {1, 6, 6}, .classes = 3});
  const auto loss = make_loss("spike-cross-entropy");
  for (const RuleEntry& entry : rule_entries()) {
    SCOPED_TRACE(entry.name);
    const std::string sentence = refusal_of(entry, net, *loss);
    EXPECT_LT(sentence.size(), 700u);
    const bool states = entry.name == "activation-relaxation" ||
                        entry.name == "predictive-coding" ||
                        entry.name == "equilibrium-propagation" || entry.name == "holomorphic-ep" ||
                        entry.name == "corinfomax";
    EXPECT_EQ(contains(sentence, "values of layers settle as real numbers"), states) << sentence;
    if (!sentence.empty()) continue;
    RunSettings s = settings_of("relpsp:*-20-20-*", "spike-cross-entropy");
    s.rule = entry.name;
    s.epochs = 1;
    s.max_steps = 4;
    Experiment e(s, bright_stripes());
    std::vector<Tensor> before;
    for (const ParamPtr& param : e.net().params()) before.push_back(param->value.clone());
    EXPECT_EQ(e.trainer().run(), "done");
    double moved = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      const Tensor& now = e.net().params()[i]->value;
      EXPECT_TRUE(now.isfinite().all().item<bool>());
      moved += (now - before[i]).abs().sum().item<double>();
    }
    EXPECT_GT(moved, 0);
  }
  for (const char* rule :
       {"backprop", "feedback-alignment", "uniform-sign", "batchwise-random-sign", "kolen-pollack",
        "last-layer-only", "direct-feedback-alignment", "evolution-strategies"})
    EXPECT_EQ(refusal_of(rule_entry(rule), net, *loss), "") << rule;
}

TEST(SpikingNetworks, FeedbackAlignmentReplacesTheWeightInTheCreditOfTimes) {
  RunSettings s = settings_of("relpsp:*-20-*", "spike-cross-entropy");
  s.rule = "feedback-alignment";
  s.dtype = "float64";
  Experiment e(s, bright_stripes());
  const Tensor x = e.data().train.inputs.narrow(0, 0, 10).to(at::kDouble),
               y = e.data().train.targets.narrow(0, 0, 10);
  Gradients found;
  Step step = Step::look_at({.inputs = x}, y);
  auto& rule = dynamic_cast<Rule&>(e.rule());
  rule.assign(step, found);
  // By hand: dL/dt_i = sum_j q_j B_ji [t_i < t_j], and the first layer's gradient of that.
  Activity activity;
  const Tensor out = e.net().run(x, activity, {});
  const Tensor b = rule.feedback()[0].feedback, g = e.loss().gradient(out, y);
  const int last = e.net().output_node(), hidden = e.net().node(last).inputs[0];
  const Tensor credit =
      e.net().node(last).op->vjp(activity.saved[static_cast<size_t>(last)], g, 0, &b);
  Gradients expected;
  e.net().node(hidden).op->accumulate(activity.saved[static_cast<size_t>(hidden)], credit, 0.1,
                                      expected);
  const ParamPtr first = e.net().params()[0];
  Gradients penalty;
  e.net().penalise(1, penalty);
  const Tensor own = penalty.of_param(*first);
  expect_close(found.of_param(*first),
               own.defined() ? expected.of_param(*first) + own : expected.of_param(*first), 1e-12,
               "W1");
  EXPECT_GT(expected.of_param(*first).abs().max().item<double>(), 0);
}

TEST(SpikingNetworks, ThePenaltyIsPartOfTheGradientOnceHoweverTheBatchIsCut) {
  RunSettings s = settings_of("relpsp:*-20-*:strength=3", "spike-cross-entropy");
  s.dtype = "float64";
  Experiment e(s, bright_stripes());
  const Tensor x = e.data().train.inputs.narrow(0, 0, 12).to(at::kDouble),
               y = e.data().train.targets.narrow(0, 0, 12);
  for (const ParamPtr& param : e.net().params()) param->value.sub_(0.05);  // some sums are too low
  auto& rule = dynamic_cast<Rule&>(e.rule());
  Gradients whole, parts, penalty, exact;
  e.net().penalise(1, penalty);
  Step step = Step::look_at({.inputs = x}, y);
  rule.assign(step, whole);
  for (const auto& [from, count] : std::vector<std::pair<int64_t, int64_t>>{{0, 5}, {5, 7}}) {
    Step part = Step::look_at(step.part(from, count), y.narrow(0, from, count));
    part.samples = 12;
    rule.assign(part, parts);
  }
  const auto value = [&] {
    double sum = e.loss().value(e.net().predict(x), y).mean().item<double>();
    for (const Node& node : e.net().nodes())
      if (const auto* layer = dynamic_cast<const Event*>(node.op.get()))
        sum += 3 * (layer->thresholds() - layer->weight()->value.sum(1))
                       .clamp_min(0)
                       .mean()
                       .item<double>();
    return sum;
  };
  for (const ParamPtr& param : e.net().params()) {
    expect_close(parts.of_param(*param), whole.of_param(*param), 1e-12, param->name);
    EXPECT_GT(penalty.of_param(*param).abs().max().item<double>(), 0) << param->name;
    // Central differences of what is minimised, in a few weights.
    const Tensor flat = param->value.view(-1), found = whole.of_param(*param).reshape(-1);
    for (int64_t i = 0; i < flat.numel(); i += 1 + flat.numel() / 25) {
      const double kept = flat[i].item<double>(), h = 1e-6;
      flat[i].fill_(kept + h);
      const double above = value();
      flat[i].fill_(kept - h);
      const double below = value();
      flat[i].fill_(kept);
      EXPECT_NEAR(found[i].item<double>(), (above - below) / (2 * h), 1e-6) << param->name << i;
    }
  }
}

TEST(SpikingNetworks, StepsThatAreTakenAtOnceTakeThePenaltyOfTheWeightsBefore) {
  for (const char* rule : {"backprop", "feedback-alignment"}) {
    RunSettings s = settings_of("relpsp:*-20-*:strength=3", "spike-cross-entropy");
    s.rule = rule;
    s.dtype = "float64";
    s.optimizer.kind = "sgd";  // which steps while signals come
    s.optimizer.lr = 0.1;
    Experiment e(s, bright_stripes());
    for (const ParamPtr& param : e.net().params()) param->value.sub_(0.05);
    data::LoaderOptions options;
    options.batch = 12;
    options.dtype = at::kDouble;
    const data::Batch batch = data::Loader(data::first(e.data().train, 12), options).at(0, 0);
    Gradients gradient;
    Step step = Step::look_at({.inputs = batch.inputs, .ids = batch.ids}, batch.targets);
    dynamic_cast<Rule&>(e.rule()).assign(step, gradient);
    std::vector<Tensor> expected;
    for (const ParamPtr& param : e.net().params())
      expected.push_back(param->value - 0.1 * gradient.of_param(*param));
    e.trainer().train_on(batch);
    for (size_t i = 0; i < expected.size(); ++i)
      expect_close(e.net().params()[i]->value, expected[i], 1e-12, rule);
  }
}

TEST(SpikingNetworks, TheMedianUnitFiresWhenItIsTold) {
  for (const char* text :
       {"relpsp:*-40-30-*", "chain: latency, relpsp-event-conv 5 k=3, relpsp-event *"}) {
    RunSettings s = settings_of(text, "spike-cross-entropy");
    s.fire_at = 0.6;
    s.batch = 100;
    s.shuffle = false;
    Experiment e(s, bright_stripes());
    Activity activity;
    e.net().run(e.data().train.inputs.narrow(0, 0, 100), activity, {}, {.keep_values = true});
    int layers = 0;
    for (const Node& node : e.net().nodes()) {
      if (!dynamic_cast<const Event*>(node.op.get())) continue;
      ++layers;
      const Tensor first =
          std::get<0>(activity.values[static_cast<size_t>(node.inputs[0])].flatten(1).min(1, true));
      const Tensor since = activity.values[static_cast<size_t>(node.id)].flatten(1) - first;
      EXPECT_NEAR(since.le(0.6).to(at::kDouble).mean().item<double>(), 0.5, 0.02) << node.name;
    }
    EXPECT_GE(layers, 2);
  }
  RunSettings s = settings_of("mlp:*-9-*", "cross-entropy");
  s.fire_at = 1;
  EXPECT_TRUE(contains(message_of([&] { Experiment(s, bright_stripes()); }), "spike.fire-at"));
  Graph dark = network("relpsp:4-3-2");
  EXPECT_TRUE(contains(message_of([&] {
                         fire_at(dark, at::zeros({5, 4}), 1);
                       }),
                       "no input of 'layer1' fires"));
}

}  // namespace
}  // namespace altprop::spiking::testing
