// Promises that every registered rule keeps. A new rule is covered by registering itself.
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/ops/activation.h"
#include "altprop/train/interrupt.h"
#include "contract/every_rule.h"

namespace altprop::contract {
namespace {

TEST_P(EveryRule, DescribesItself) {
  EXPECT_FALSE(entry().summary.empty());
  EXPECT_FALSE(entry().assumes.empty());
  for (const std::string& alias : entry().aliases) EXPECT_EQ(rule_entry(alias).name, entry().name);
  auto rule = entry().make();
  Options options("rule");
  rule->declare(options);
  for (const Options::Entry& o : options.entries()) {
    EXPECT_FALSE(o.doc.help.empty()) << o.name;
    EXPECT_NO_THROW(options.set(o.name, o.default_text))
        << "the default of " << o.name << " must be admissible";
  }
}

TEST_P(EveryRule, OneSeedFixesEverything) {
  RunSettings s = settings_for(entry());
  s.epochs = 1;
  s.max_steps = 12;
  std::vector<Tensor> first;
  for (int i = 0; i < 2; ++i) {
    Experiment e(s, glyphs());
    e.trainer().run();
    if (i == 0) {
      first = weights(e.net());
    } else {
      expect_equal(first, weights(e.net()));
    }
  }
  s.seed = 2;
  Experiment other(s, glyphs());
  other.trainer().run();
  EXPECT_FALSE(at::equal(first[0], weights(other.net())[0]));
}

TEST_P(EveryRule, StartsFromTheSameWeightsAsBackprop) {
  RunSettings s = settings_for(entry());
  Experiment e(s, glyphs());
  s.rule = "backprop";
  Experiment bp(s, glyphs());
  expect_equal(weights(e.net()), weights(bp.net()));
}

/// Stops a run after some steps, as Ctrl-C does.
struct StopAfter : Observer {
  int64_t step;
  explicit StopAfter(int64_t step) : step(step) {}
  void on_step(const Trainer& trainer) override {
    if (trainer.position().step == step) interrupt::request();
  }
};

TEST_P(EveryRule, AResumedRunEqualsAnUninterruptedOne) {
  RunSettings s = settings_for(entry());
  s.epochs = 2;
  s.batch = 500;
  Experiment whole(s, glyphs());
  whole.trainer().run();
  for (int64_t stop : {int64_t{3}, int64_t{8}, int64_t{13}}) {
    TensorMap map;
    {
      Experiment part(s, glyphs());
      StopAfter observer(stop);
      part.trainer().observe(observer);
      EXPECT_EQ(part.trainer().run(), "interrupted");
      interrupt::request(false);
      part.trainer().state(StateIO::saving(map));
    }
    Experiment rest(s, glyphs());
    rest.trainer().state(StateIO::loading(map));
    EXPECT_EQ(rest.trainer().position().step, stop);
    rest.trainer().run();
    expect_equal(weights(whole.net()), weights(rest.net()));
    const auto owned = whole.rule().owned(), of_rest = rest.rule().owned();
    ASSERT_EQ(owned.size(), of_rest.size());
    for (size_t i = 0; i < owned.size(); ++i)
      EXPECT_TRUE(at::equal(owned[i]->value, of_rest[i]->value)) << owned[i]->name;
    EXPECT_EQ(whole.trainer().position().step, rest.trainer().position().step);
  }
}

TEST_P(EveryRule, ASmallStepLowersTheLossOfItsBatch) {
  RunSettings s = settings_for(entry());
  s.dtype = "float64";
  s.optimizer.kind = "sgd";
  s.optimizer.lr = 1e-3;
  Experiment e(s, glyphs());
  const auto examples = batch(s, 256);
  const auto& x = examples.first;
  const auto& y = examples.second;
  auto loss = [&] {
    return e.loss().value(e.rule().predict({.inputs = x}), y).mean().item<double>();
  };
  const double before = loss();
  Step step = step_of(e, x, y);
  step.pass = e.rule().passes(1, 2).back();
  e.rule().step(step);
  const double after = loss();
  EXPECT_LT(after, before);
  EXPECT_GT(after, before - 0.5)
      << "a step of 1e-3 cannot change the loss by so much: a scale is wrong";
}

double accuracy_of(const RunSettings& s) {
  const auto data = s.data_options.empty() ? glyphs() : load_glyphs(s.data_options);
  Experiment e(s, data);
  e.trainer().run();
  return *e.trainer().evaluate(data->test).accuracy();
}

TEST_P(EveryRule, LearnsGlyphs) {
  RunSettings s = settings_for(entry());
  s.epochs = 6;
  RunSettings own = s;
  own.from_toml(entry().example_settings, "example_settings");
  const double found = accuracy_of(own);
  s.rule = "backprop";
  const double reference = accuracy_of(s);
  test::expect_learnt_at_least("backprop", reference, s.loss == "cross-entropy" ? 0.83 : 0.72);
  test::expect_learnt_at_least("share_of_backprop", found / reference, entry().reaches);
}

/// A convolutional and a residual network: of the common kind if the rule admits that, else with
/// the activation of its example network and without norms.
std::vector<std::string> deep_networks(const RuleEntry& entry) {
  std::vector<std::string> common = {
      "chain: conv 4 k=3 p=1, relu, maxpool 2, conv 6 k=3, relu, gap, linear 10",
      "resnet:8:width=4"};
  const auto data = glyphs();
  const auto refused = [&](const std::string& text) {
    const Graph net = network(text, {.input_shape = data->train.sample_shape(), .classes = 10});
    return !refusal_of(entry, net, *make_loss("cross-entropy")).empty();
  };
  if (!refused(common[0]) && (entry.chains_only || !refused(common[1]))) return common;
  const std::string f = text::split(entry.example_net, ':').at(2);
  // Rules with dynamics take many passes a step, so these are small.
  return {"chain: conv 4 k=5 s=3, " + f + ", maxpool 2, conv 6 k=3, " + f + ", gap, linear 10",
          "dag: x = input; a = " + f + "(conv(x, 4, k=5, s=3)); b = " + f +
              "(conv(a, 4, k=3, p=1)); c = " + f +
              "(add(conv(b, 4, k=3, p=1), a)); y = linear(gap(c), 10); output y"};
}

TEST_P(EveryRule, TrainsConvolutionalAndResidualNetworks) {
  for (const std::string& net : deep_networks(entry())) {
    RunSettings s = settings_for(entry());
    s.net = net;
    const auto data = load_glyphs({{"glyphs.train", "800"}, {"glyphs.test", "100"}});
    const bool skips = net.find("resnet") == 0 || net.find("dag") == 0;
    if (entry().dense_only || (entry().chains_only && skips)) {
      EXPECT_THROW(Experiment(s, data), Refusal) << net;
      continue;
    }
    s.batch =
        100;  // 8 steps a pass: three of training behind a first pass that may prepare feedback
    s.max_steps = 11;
    Experiment e(s, data);
    const std::vector<Tensor> before = weights(e.net());
    EXPECT_NO_THROW(e.trainer().run()) << net;
    int64_t moved = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      const Tensor now = e.net().params()[i]->value;
      EXPECT_TRUE(now.isfinite().all().item<bool>());
      moved += !at::equal(before[i], now);
    }
    EXPECT_EQ(moved, static_cast<int64_t>(e.rule().trained().size())) << net;
  }
}

TEST_P(EveryRule, RefusesANetworkThatCannotLearn) {
  Graph net;
  net.output(net.add(relu(), {net.input({{4}})}));
  const auto loss = make_loss(entry().example_loss);
  EXPECT_FALSE(refusal_of(entry(), net, *loss).empty());
}

TEST_P(EveryRule, ProbesLeaveNoTrace) {
  RunSettings s = settings_for(entry());
  s.max_steps = 4;
  s.epochs = 1;
  Experiment plain(s, glyphs()), probed(s, glyphs());
  plain.trainer().run();
  probed.trainer().probe();
  probed.trainer().run();
  probed.trainer().probe();
  expect_equal(weights(plain.net()), weights(probed.net()));
}

INSTANTIATE_TEST_SUITE_P(Contract, EveryRule, all_rules(), test_name);

}  // namespace
}  // namespace altprop::contract
