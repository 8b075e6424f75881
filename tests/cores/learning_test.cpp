// Networks of cores under learning rules: backprop exactly, feedback alignment and its kin through
// strengths that both ways know, and every other rule works or says why not.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/cores/core_layer.h"
#include "altprop/cores/deployment.h"
#include "altprop/network/gradients.h"
#include "altprop/rules/registry.h"
#include "altprop/train/deploy_run.h"
#include "altprop/train/experiment.h"
#include "network/check_op.h"
#include "support/learnt.h"

namespace altprop::cores::testing {
namespace {

constexpr const char* kNet = "chain: cores 16 patch=16 stride=12, cores 100, class-sums *";

RunSettings settings_of_cores(const std::string& rule, const std::string& net = kNet) {
  RunSettings s;
  s.rule = rule;
  s.net = net;
  s.data_options = {{"glyphs.train", "3000"}, {"glyphs.test", "500"}, {"normalise", "unit"}};
  s.optimizer.kind = "adam";
  s.optimizer.lr = 0.02;
  s.optimizer.lr_of = {"leaks=5"};
  s.batch = 50;
  s.epochs = 4;
  s.threads = 1;
  s.probe_every = 0;
  s.seed += static_cast<decltype(s.seed)>(test::seed_offset());
  return s;
}

std::shared_ptr<const data::Splits> glyphs_for_cores() {
  static const auto data = load_data(settings_of_cores("backprop"));
  return data;
}

void expect_in_bounds(Graph& net) {
  for (const ParamPtr& param : net.params()) {
    ASSERT_TRUE(param->bounds) << param->name;
    EXPECT_GE(param->value.min().item<double>(), param->bounds->low) << param->name;
    EXPECT_LE(param->value.max().item<double>(), param->bounds->high) << param->name;
    EXPECT_TRUE(param->value.isfinite().all().item<bool>()) << param->name;
  }
}

TEST(CoresLearn, ByBackpropAndTheDeployedNetworkDoesToo) {
  RunSettings s = settings_of_cores("backprop");
  s.data_options["glyphs.test"] = "3000";  // the difference of two accuracies is asked for
  Experiment e(s);
  e.trainer().run();
  expect_in_bounds(e.net());
  const Tensor& c = e.net().params()[0]->value;
  EXPECT_GT(c.eq(0).logical_or(c.eq(1)).sum().item<int64_t>(), 100) << "the box is met";
  const double trained = *e.trainer().evaluate(e.data().test).accuracy();
  test::expect_learnt_at_least("trained", trained, 0.5);
  const ImagesForCores images = images_for_cores(e.data().test);
  const Deployed found = deploy(mapping_of(e.net()), images.values, images.ids, images.targets,
                                {.members = "1,64", .draws = 2});
  const double one = found.scores[0].accuracy[0],
               many = (found.scores[1].accuracy[0] + found.scores[1].accuracy[1]) / 2;
  EXPECT_LT(one, many);
  test::expect_learnt_at_most("what 64 members lose", std::abs(trained - many), 0.025);
  test::expect_learnt_at_least("one drawn network", one, 0.25);
}

TEST(CoresLearn, DeterministicSynapsesToo) {
  Experiment e(settings_of_cores("backprop",
                                 "chain: cores 16 patch=16 stride=12 synapse=deterministic "
                                 "fire-on-zero=true, cores 100 synapse=deterministic "
                                 "fire-on-zero=true, class-sums *"),
               glyphs_for_cores());
  e.trainer().run();
  expect_in_bounds(e.net());
  const ImagesForCores images = images_for_cores(e.data().test);
  const Deployed found = deploy(mapping_of(e.net()), images.values, images.ids, images.targets,
                                {.members = "1", .draws = 1, .input = "threshold"});
  // Nothing is drawn: the trained network in evaluation is the deployed one.
  EXPECT_DOUBLE_EQ(found.scores[0].accuracy[0], *e.trainer().evaluate(e.data().test).accuracy());
  test::expect_learnt_at_least("deterministic", found.scores[0].accuracy[0], 0.2);
}

/// A penalty drives connections to 0 and 1.
TEST(CoresLearn, ThePenaltyDecides) {
  const auto open = [](const std::string& penalty) {
    RunSettings s = settings_of_cores(
        "backprop", "chain: cores 16 patch=16 stride=12 " + penalty + ", cores 100, class-sums *");
    s.epochs = 2;
    Experiment e(s, glyphs_for_cores());
    e.trainer().run();
    expect_in_bounds(e.net());
    const Tensor& c = e.net().params()[0]->value;
    return (c * (1 - c)).mean().item<double>();
  };
  EXPECT_LT(open("penalty=1e-3"), 0.7 * open(""));
}

TEST(CoresLearn, EveryRuleTrainsThemOrSaysWhyNot) {
  std::vector<std::string> trained;
  for (const RuleEntry& entry : rule_entries()) {
    SCOPED_TRACE(entry.name);
    RunSettings s = settings_of_cores(entry.name);
    s.loss = entry.example_loss;
    s.max_steps = 3;
    s.epochs = 1;
    try {
      Experiment e(s, glyphs_for_cores());
      std::vector<Tensor> before;
      for (const ParamPtr& param : e.net().params()) before.push_back(param->value.clone());
      e.trainer().run();
      expect_in_bounds(e.net());
      EXPECT_FALSE(at::equal(before[2], e.net().params()[2]->value)) << "something moves";
      trained.push_back(entry.name);
    } catch (const UsageError& error) {
      const std::string text = error.what();
      EXPECT_LT(text.size(), 700u) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
  }
  const auto trains = [&](const char* name) {
    return std::count(trained.begin(), trained.end(), name) > 0;
  };
  for (const char* name : {"backprop", "feedback-alignment", "uniform-sign", "kolen-pollack",
                           "direct-feedback-alignment", "evolution-strategies"})
    EXPECT_TRUE(trains(name)) << name;
  for (const char* name :
       {"predictive-coding", "equilibrium-propagation", "corinfomax", "holomorphic-ep"})
    EXPECT_FALSE(trains(name)) << name;
  // Its states are credits, unless operations are asked again at states that have moved.
  EXPECT_TRUE(trains("activation-relaxation"));
  expect_refusal(
      [] {
        Experiment e(settings_of_cores("activation-relaxation[ar.derivative-x=current]"),
                     glyphs_for_cores());
      },
      "probabilities");
}

TEST(CoresLearn, ByFeedbackAlignment) {
  Experiment e(settings_of_cores("feedback-alignment"), glyphs_for_cores());
  e.trainer().run();
  test::expect_learnt_at_least("feedback alignment",
                               *e.trainer().evaluate(e.data().test).accuracy(), 0.4);
}

/// Feedback that has become the connections is backprop by the mean: strengths are known on both
/// ways.
TEST(CoresLearn, FeedbackThatEqualsTheConnectionsIsBackprop) {
  RunSettings s = settings_of_cores("backprop",
                                    "chain: cores 16 patch=16 stride=12 variance=frozen, cores 100 "
                                    "variance=frozen, class-sums *");
  s.dtype = "float64";
  Experiment e(s, glyphs_for_cores());
  const Node& node = e.net().node(e.net().find("cores2"));
  const Tensor x = Stream(4).uniform({3, 64}, at::kDouble),
               cot = Stream(5).normal({3, 100}, at::kDouble);
  Saved saved;
  node.op->forward({&x, 1}, saved, {Mode::Train});
  const Tensor same = node.op->weight()->value.clone();
  EXPECT_TRUE(at::equal(node.op->vjp(saved, cot, 0, &same), node.op->vjp(saved, cot, 0, nullptr)));
  const Tensor zero = at::zeros_like(same);
  EXPECT_EQ(largest(node.op->vjp(saved, cot, 0, &zero)), 0);
}

TEST(CoresLearn, DataOutsideOfZeroAndOneAreRefused) {
  RunSettings s = settings_of_cores("backprop");
  s.data_options["normalise"] = "standard";
  expect_refusal([&] { Experiment e(s); },
                 "data set 'glyphs': its inputs go from -");  // when they meet, not in a batch
  expect_refusal([&] { Experiment e(s); }, "scale the data to [0, 1]");
}

TEST(CoresLearn, ResumedRunsEqualUninterruptedOnes) {
  RunSettings s = settings_of_cores("backprop");
  s.epochs = 2;
  Experiment whole(s, glyphs_for_cores());
  whole.trainer().run();
  s.max_steps = 40;
  Experiment first(s, glyphs_for_cores());
  first.trainer().run();
  TensorMap map;
  first.trainer().state(StateIO::saving(map));
  s.max_steps = 0;
  Experiment second(s, glyphs_for_cores());
  second.trainer().state(StateIO::loading(map));
  second.trainer().run();
  for (size_t i = 0; i < whole.net().params().size(); ++i)
    EXPECT_TRUE(at::equal(whole.net().params()[i]->value, second.net().params()[i]->value));
}

}  // namespace
}  // namespace altprop::cores::testing
