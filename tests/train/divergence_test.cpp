// Runs whose numbers overflow: the step, the epoch and the first layer are named, and nothing that
// was kept is spoilt.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/rules/registry.h"
#include "altprop/train/experiment.h"
#include "altprop/train/trainer.h"
#include "support/device.h"

namespace altprop {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::shared_ptr<const data::Splits> few_glyphs(bool with_test = true) {
  RunSettings s;
  s.data_options = {{"glyphs.train", "96"}, {"glyphs.test", with_test ? "32" : "0"}};
  return load_data(s);
}

RunSettings small() {
  RunSettings s;
  s.net = "mlp:784-12-10:relu";
  s.batch = 16;
  s.epochs = 3;
  s.threads = 1;
  s.device = test::test_device().str();
  s.probe_every = 0;
  return s;
}

struct Watcher : Observer {
  std::vector<nlohmann::json> records;
  std::string status;
  std::function<void(Trainer&)> after_step;
  Trainer* trainer = nullptr;
  void on_step(const Trainer&) override {
    if (after_step) after_step(*trainer);
  }
  void on_epoch(Trainer&, const nlohmann::json& record) override { records.push_back(record); }
  void on_stop(Trainer&, const std::string& how) override { status = how; }
};

/// The sentence with which the training ends; "" if it comes to its end.
std::string outcome(Experiment& e, Watcher& watcher) {
  watcher.trainer = &e.trainer();
  e.trainer().observe(watcher);
  try {
    e.trainer().run();
  } catch (const Diverged& diverged) {
    EXPECT_EQ(watcher.status, "diverged");
    EXPECT_EQ(e.trainer().failure(), diverged.what());
    return diverged.what();
  }
  return "";
}

struct DivergingCase {
  std::string net, optimizer;
};

/// The network, or if the rule refuses it one with the activation of the rule's example network and
/// without norms.
std::string admitted(const RuleEntry& entry, std::string text, const data::Splits& data) {
  const Graph net = network(text, {.input_shape = data.train.sample_shape(), .classes = 10});
  if (refusal_of(entry, net, *make_loss("cross-entropy")).empty()) return text;
  const std::string own = text::split(entry.example_net, ':').at(2);
  for (const auto& [from, to] : {std::pair{std::string("relu"), own}, {"batch-norm, ", ""}})
    for (size_t at; (at = text.find(from)) != std::string::npos;) text.replace(at, from.size(), to);
  return text;
}

bool all_finite(const Graph& net) {
  for (const ParamPtr& param : net.params())
    if (!param->value.isfinite().all().item<bool>()) return false;
  return true;
}

TEST(Divergence, EveryRuleWithAnAbsurdRateSaysWhereItBroke) {
  const auto data = few_glyphs();
  for (const RuleEntry& entry : rule_entries())
    for (const DivergingCase& c :
         {DivergingCase{"mlp:784-12-12-10:relu", "sgd"},
          {"mlp:784-12-12-10:relu", "adam"},
          {"mlp:784-12-12-10:relu", "momentum"},
          {"chain: conv 4 k=3 s=3, relu, conv 4 k=3, relu, gap, linear *", "sgd"},
          {"chain: conv 4 k=3 s=3, batch-norm, relu, maxpool 2, linear *", "adam"}}) {
      if (entry.dense_only) continue;
      SCOPED_TRACE(entry.name + " on " + c.net + " with " + c.optimizer);
      RunSettings s = small();
      s.rule = entry.name;
      s.net = admitted(entry, c.net, *data);
      s.optimizer.kind = c.optimizer;
      s.optimizer.lr = 1e38;
      Experiment e(s, data);
      Watcher watcher;
      const std::string sentence = outcome(e, watcher);
      // Bounded states may stand even that: what they end with is finite, then.
      if (s.net != c.net && !contains(sentence, "diverged") && all_finite(e.net())) continue;
      EXPECT_TRUE(contains(sentence, "training diverged at step ")) << sentence;
      EXPECT_TRUE(contains(sentence, "(epoch ")) << sentence;
      EXPECT_TRUE(s.net != c.net || contains(sentence, "(epoch 1)")) << sentence;
      EXPECT_TRUE(contains(sentence, "'fc") || contains(sentence, "'conv") ||
                  contains(sentence, "'norm") || contains(sentence, "'relu") ||
                  contains(sentence, "the rule's '") || s.net != c.net)
          << sentence;
      EXPECT_TRUE(s.net != c.net || watcher.records.empty());
    }
}

/// Rates that are clamped need not overflow; if anything does, the run ends with a sentence.
TEST(Divergence, RulesOfDenseChainsWithAnAbsurdRate) {
  const auto data = few_glyphs();
  for (const RuleEntry& entry : rule_entries())
    for (const char* optimizer : {"sgd", "adam", "momentum"}) {
      if (!entry.dense_only) continue;
      SCOPED_TRACE(entry.name + " with " + optimizer);
      RunSettings s = small();
      s.rule = entry.name;
      s.net = entry.example_net;
      s.loss = entry.example_loss;
      s.optimizer.kind = optimizer;
      s.optimizer.lr = 1e38;
      Experiment e(s, data);
      Watcher watcher;
      const std::string sentence = outcome(e, watcher);
      if (sentence.empty()) {
        EXPECT_EQ(watcher.status, "done");
        EXPECT_NO_THROW(e.trainer().require_finite());
      } else {
        EXPECT_TRUE(contains(sentence, "training diverged at step ") ||
                    contains(sentence, "training stopped at step "))
            << sentence;
      }
    }
}

/// Lets a number become infinite after some step, where no loss shows it yet.
std::string poisoned(int64_t step, const std::string& name, Watcher& watcher, bool with_test,
                     RunSettings s = small()) {
  Experiment e(std::move(s), few_glyphs(with_test));
  watcher.after_step = [&](Trainer& trainer) {
    if (trainer.position().step != step) return;
    for (const ParamPtr& param : trainer.net().params())
      if (param->name == name) param->value.view(-1)[0] = NAN;
  };
  return outcome(e, watcher);
}

TEST(Divergence, NamesTheStepAndTheFirstLayerInTheOrderOfThePass) {
  RunSettings s = small();
  s.net = "mlp:784-12-12-10:relu";
  s.rule = "last-layer-only";  // so that it does not spread to the layers before
  Watcher watcher;
  const std::string sentence = poisoned(8, "fc2.bias", watcher, true, s);
  EXPECT_TRUE(contains(sentence, "step 9 (epoch 2)")) << sentence;
  EXPECT_TRUE(contains(sentence, "'fc2.bias'")) << sentence;
  EXPECT_EQ(watcher.records.size(), 1u) << "the record of the first epoch stays";
}

TEST(Divergence, IsSeenInTheLastStepOfAnEpoch) {
  // Without a test set no loss is computed from these weights any more.
  Watcher watcher;
  const std::string sentence = poisoned(18, "fc1.weight", watcher, false);
  EXPECT_TRUE(contains(sentence, "step 18 (epoch 3)")) << sentence;
  EXPECT_TRUE(contains(sentence, "'fc1.weight'")) << sentence;
  EXPECT_EQ(watcher.records.size(), 2u);
}

TEST(Divergence, OfTheRulesOwnMatricesIsSeenToo) {
  RunSettings s = small();
  s.rule = "kolen-pollack";
  s.epochs = 1;
  s.max_steps = 2;
  Experiment e(s, few_glyphs(false));
  Watcher watcher;
  watcher.after_step = [&](Trainer& trainer) {
    if (trainer.position().step == 2) trainer.rule().owned().at(0)->value.fill_(INFINITY);
  };
  const std::string sentence = outcome(e, watcher);
  EXPECT_TRUE(contains(sentence, "the rule's '" + e.rule().owned().at(0)->name)) << sentence;
}

TEST(Divergence, OfTheTestLossAloneIsSeen) {
  // Finite weights whose products overflow on the test set only.
  RunSettings s = small();
  s.optimizer.lr = 0;
  auto data = std::make_shared<data::Splits>(*few_glyphs());
  data->test.inputs = data->test.inputs.to(at::kFloat).mul(1e36);
  data->test.mean.clear(), data->test.stddev.clear();
  data->test.scale = 1;
  Experiment e(s, data);
  Watcher watcher;
  EXPECT_TRUE(contains(outcome(e, watcher), "(epoch 1)"));
  EXPECT_TRUE(watcher.records.empty());
}

TEST(Divergence, InTheDataIsRefusedWithTheSample) {
  Tensor x = at::ones({5, 3});
  x[3][1] = NAN;
  try {
    data::from_tensors(x, at::zeros({5}, at::kLong));
    ADD_FAILURE() << "NaN was taken";
  } catch (const Error& error) {
    EXPECT_TRUE(contains(error.what(), "the first is number 3")) << error.what();
    EXPECT_TRUE(contains(error.what(), "1 of its 5 samples")) << error.what();
  }
}

}  // namespace
}  // namespace altprop
