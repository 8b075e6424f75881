// An optimizer that is not the library's behind the interface of updaters: rules that call it or
// use its facts work, or refuse with a sentence; none degenerates in silence.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/architecture.h"
#include "altprop/network/gradients.h"
#include "altprop/rules/registry.h"
#include "altprop/train/experiment.h"
#include "support/device.h"

namespace altprop::foreign {
namespace {

/// Steps of equal length against every parameter's gradient: not linear, and known to nobody.
class EqualSteps : public Updater {
 public:
  explicit EqualSteps(double decay = 0) {
    settings_.kind = "equal-steps";
    settings_.lr = 0.05;
    settings_.weight_decay = decay;
  }

  void bind(const std::vector<ParamPtr>& params) override {
    refuse_twins(params);
    params_.clear();
    gradients_ = Gradients::none();
    for (const ParamPtr& param : params)
      if (param->learnt) {
        params_.push_back(param);
        gradients_.give(*param, {});
      }
  }
  void take(const LocalSignal& signal) override { signal.accumulate(gradients_); }
  void take(const ParamSignal& signal) override { signal.accumulate(gradients_); }
  void apply(const std::string& group = "weights") override {
    for (const ParamPtr& param : params_) {
      if (param->group != group) continue;
      Slot& slot = *gradients_.of(*param);
      slot.settle();
      slot.fresh = true;
      param->value.mul_(1 - settings_.lr * settings_.weight_decay);
      const Tensor norm = slot.into.norm();
      param->value.sub_(slot.into / norm.clamp_min(1e-12), settings_.lr * factor_);
    }
    facts_ = {.kind = settings_.kind, .lr = settings_.lr * factor_};
    ++steps_;
  }
  void set_progress(int64_t, double, int64_t, int64_t step) override {
    factor_ = 1 / (1 + 0.01 * static_cast<double>(step));
    progress_.push_back(step);
  }
  const OptimizerSettings& settings(const std::string& = "weights") const override {
    return settings_;
  }
  const StepFacts& facts(const std::string& = "weights") const override { return facts_; }
  int64_t steps(const std::string& = "weights") const override { return steps_; }
  const Slot* slot(const Param& param) const override { return gradients_.find(param); }
  void state(StateIO io) override { io.integer("steps", steps_); }

  std::vector<int64_t> progress_;

 private:
  OptimizerSettings settings_;
  StepFacts facts_;
  std::vector<ParamPtr> params_;
  Gradients gradients_ = Gradients::none();
  int64_t steps_ = 0;
  double factor_ = 1;
};

/// The same for rules that need more: it changes decay, and steps a twin with its partner's
/// gradient.
class EqualStepsOfTwins : public EqualSteps {
 public:
  std::vector<double> decays;
  using Updater::set_weight_decay;
  void set_weight_decay(double decay) override { decays.push_back(decay); }
};

/// A run whose updater is given.
struct Trained {
  Experiment made;
  Trainer trainer;
  Updater& updater;

  static RunSettings settings(const std::string& rule, const std::string& net) {
    RunSettings s;
    s.rule = rule;
    s.net = net;
    s.data_options = {{"glyphs.train", "320"}, {"glyphs.test", "50"}};
    s.batch = 40;
    s.epochs = 2;
    s.threads = 1;
    s.probe_every = 0;
    s.device = test::test_device().str();
    return s;
  }
  Trained(const std::string& rule, std::unique_ptr<Updater> own,
          const std::string& net = "mlp:784-20-10:relu",
          const std::function<void(RunSettings&)>& change = {})
      : Trained(rule, net, change, *own, own) {}

 private:
  Trained(const std::string& rule, const std::string& net,
          const std::function<void(RunSettings&)>& change, Updater& seen,
          std::unique_ptr<Updater>& own)
      : made([&] {
          RunSettings s = settings(rule, net);
          if (change) change(s);
          return s;
        }()),
        trainer(made.net(), made.rule(), made.loss(), made.data(), made.settings(), std::move(own)),
        updater(seen) {}
};

struct Losses : Observer {
  std::vector<double> of_epochs;
  void on_epoch(Trainer&, const nlohmann::json& record) override {
    of_epochs.push_back(record["train_loss"].get<double>());
  }
};

/// @returns what was refused; "" if it trained, and then it has learnt something
std::string outcome(const std::string& rule, std::unique_ptr<Updater> updater,
                    const std::string& net = "mlp:784-20-10:relu",
                    const std::function<void(RunSettings&)>& change = {}) {
  try {
    Trained run(rule, std::move(updater), net, change);
    Losses losses;
    run.trainer.observe(losses);
    run.trainer.run();
    EXPECT_GT(run.updater.steps(), 0);
    EXPECT_LT(losses.of_epochs[1], losses.of_epochs[0]) << rule;
    return "";
  } catch (const Refusal& refusal) {
    const std::string text = refusal.what();
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_FALSE(refusal.instead.empty()) << text;
    return text;
  }
}

void expect_parts(const std::string& text, std::initializer_list<const char*> parts) {
  EXPECT_FALSE(text.empty()) << "nothing was refused";
  for (const char* part : parts) EXPECT_NE(text.find(part), std::string::npos) << text;
}

std::unique_ptr<Updater> equal_steps(double decay = 0) {
  return std::make_unique<EqualSteps>(decay);
}

TEST(ForeignUpdater, StandsBehindATrainer) {
  auto own = std::make_unique<EqualSteps>();
  const EqualSteps& seen = *own;
  Trained run("backprop", std::move(own));
  run.trainer.run();
  EXPECT_EQ(seen.steps(), 16);
  EXPECT_EQ(seen.progress_.size(), 16u)
      << "it hears where training stands, and has its own schedule";
  EXPECT_EQ(seen.progress_.back(), 15);
  EXPECT_EQ(outcome("backprop", equal_steps()), "");
}

TEST(ForeignUpdater, RulesThatStepInsideOfTheirInferenceWork) {
  const char *rule = "predictive-coding[pc.mode=ipc,pc.steps=3]", *net = "mlp:784-20-10:tanh";
  auto own = std::make_unique<EqualSteps>();
  const EqualSteps& seen = *own;
  Trained run(rule, std::move(own), net);
  run.trainer.run();
  Experiment usual(Trained::settings(rule, net));
  usual.trainer().run();
  EXPECT_GE(seen.steps(), 16 * 3);
  EXPECT_EQ(seen.steps(), usual.trainer().updater().steps());
  EXPECT_EQ(outcome("equilibrium-propagation[ep.continual=true,ep.free-steps=6,ep.nudged-steps=3]",
                    equal_steps(), "mlp:784-20-10:hard-sigmoid",
                    [](RunSettings& s) { s.loss = "squared-error"; }),
            "");
}

TEST(ForeignUpdater, DecayThatCannotBeChangedIsRefused) {
  expect_parts(
      outcome("equilibrium-propagation[ep.continual=true,ep.free-steps=6,ep.nudged-steps=3]",
              equal_steps(0.01), "mlp:784-20-10:hard-sigmoid",
              [](RunSettings& s) { s.loss = "squared-error"; }),
      {"equal-steps", "weight decay", "the rule asks for"});
}

TEST(ForeignUpdater, TwinsThatItDoesNotKnowAreRefused) {
  for (const char* rule : {"kolen-pollack", "activation-relaxation[ar.feedback=learned]",
                           "product-feedback-alignment"})
    expect_parts(outcome(rule, equal_steps()),
                 {"equal-steps", "fc2.weight", "by its own gradient"});
  expect_parts(
      outcome("equilibrium-propagation[ep.weights=same-update]", equal_steps(),
              "mlp:784-20-10:hard-sigmoid", [](RunSettings& s) { s.loss = "squared-error"; }),
      {"equal-steps", "by its own gradient"});
}

TEST(ForeignUpdater, BoundsThatItDoesNotKeepAreRefused) {
  const char* net = "chain: cores 20 patch=16 stride=12, cores 50, class-sums *";
  const auto as_probabilities = [](RunSettings& s) { s.data_options["normalise"] = "unit"; };
  expect_parts(outcome("backprop", equal_steps(), net, as_probabilities),
               {"equal-steps", "cores1.connections", "[0, 1]", "carries no value back"});
  // One that is bound by hand is refused by the learner, before its first update.
  Graph bounded = network("mlp:4-3:relu", {.input_shape = {4}, .classes = 3});
  bounded.params()[0]->bounds = Bounds{-1, 1};
  const auto rule = make_rule("backprop");
  const auto loss = make_loss("cross-entropy");
  rule->bind(bounded, *loss, 1);
  EqualSteps updater;
  updater.bind(bounded.params());
  Step step = Step::train(updater, {.inputs = at::zeros({2, 4})}, at::zeros({2}, at::kLong));
  EXPECT_THROW(rule->step(step), Refusal);
}

TEST(ForeignUpdater, LawsThatItDoesNotHaveAreRefused) {
  for (const char* rule :
       {"kolen-pollack[kp.form=implicit]", "product-feedback-alignment[pfa.form=implicit]"})
    expect_parts(outcome(rule, equal_steps()), {"equal-steps", "implicit"});
}

/// One that provides decay gets the rule's, and rules say that their law does not hold.
TEST(ForeignUpdater, WhatItProvidesIsUsed) {
  auto own = std::make_unique<EqualStepsOfTwins>();
  const EqualStepsOfTwins& seen = *own;
  Trained run("weight-mirror", std::move(own));
  run.trainer.run();
  EXPECT_EQ(seen.decays, (std::vector<double>{-1, -1}));
  const auto rule = make_rule("kolen-pollack");
  const auto sentences = rule->warnings(seen.settings());
  ASSERT_FALSE(sentences.empty());
  EXPECT_NE(sentences[0].find("equal-steps"), std::string::npos);
}

TEST(ForeignUpdater, WeightMirrorsWork) { EXPECT_EQ(outcome("weight-mirror", equal_steps()), ""); }

TEST(ForeignUpdater, WhatOnlyTheLibraryHasIsRefused) {
  expect_parts(outcome("backprop", equal_steps(), "mlp:784-20-10:relu",
                       [](RunSettings& s) { s.direction = "recursive-least-squares"; }),
               {"equal-steps", "direction=accumulate"});
  EqualSteps updater;
  updater.set_direction(nullptr);
  updater.set_exchange(nullptr, {});
  updater.set_weight_decay(-1);
  updater.set_weight_decay("feedback", -1);
  EXPECT_THROW(updater.set_group({"feedback", {}}), Refusal);
  EXPECT_THROW(updater.set_exchange(std::make_shared<Exchange>(), {}), Refusal);
  EXPECT_THROW(updater.set_weight_decay("feedback", 0), Refusal);
  const auto loss = make_loss("cross-entropy");
  Experiment e(Trained::settings("backprop", "mlp:784-20-10:relu"));
  EXPECT_THROW(updater.apply_to(*e.net().node(e.net().find("fc1")).op), Refusal);
}

}  // namespace
}  // namespace altprop::foreign
