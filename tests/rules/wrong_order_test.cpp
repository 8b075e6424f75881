// Calls in the wrong order, or with what does not go together: each ends in one sentence, none in a
// crash, none in a step that trains nothing.
#include <functional>

#include "contract/every_rule.h"
#include "rules/teacher.h"

namespace altprop::contract {
namespace {

std::string message_from(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Of rules: a learner that owns its step answers for it itself.
class WrongOrder : public EveryRule {
  void SetUp() override {
    if (!dynamic_cast<Rule*>(entry().make().get())) GTEST_SKIP() << "a learner of its own kind";
  }
};

TEST_P(WrongOrder, NothingBeforeBind) {
  at::NoGradGuard no_grad;
  const std::unique_ptr<Learner> learner = make_rule(entry().name);
  OwnUpdater updater({});
  const Look look{.inputs = at::rand({2, 784})};
  const Tensor y = at::tensor({0, 1}, at::kLong);
  Step step = Step::train(updater, look, y);
  EXPECT_NE(message_from([&] { learner->step(step); }).find("call bind first"), std::string::npos);
  EXPECT_NE(message_from([&] { learner->predict(look); }).find("call bind first"),
            std::string::npos);
  EXPECT_NE(message_from([&] { learner->evaluate(look, y); }).find("call bind first"),
            std::string::npos);
  const std::string watched = message_from([&] { learner->watch(step); });
  EXPECT_TRUE(watched.empty() || watched.find("call bind first") != std::string::npos) << watched;
  auto* rule = dynamic_cast<Rule*>(learner.get());
  Gradients sink;
  EXPECT_NE(message_from([&] { rule->forward(look); }).find("call bind first"), std::string::npos);
  EXPECT_NE(message_from([&] { rule->assign(step, sink); }).find("call bind first"),
            std::string::npos);
  const auto loss = make_loss(entry().example_loss);
  EXPECT_NE(message_from([&] {
              rule->reference(look, {*loss, y, 2}, sink);
            }).find("call bind first"),
            std::string::npos);
}

TEST_P(WrongOrder, NoStepWithoutAnUpdaterThatSteps) {
  at::NoGradGuard no_grad;
  const RunSettings s = settings_for(entry());
  Experiment e(s, glyphs());
  const auto [x, y] = batch(s, 16);
  Step looked_at = Step::look_at({.inputs = x, .ids = at::arange(16), .draws = Stream(3)}, y);
  EXPECT_NE(message_from([&] { e.rule().step(looked_at); }).find("Step::train"), std::string::npos);
  OwnUpdater unbound({});
  Step step = Step::train(unbound, {.inputs = x, .ids = at::arange(16), .draws = Stream(3)}, y);
  EXPECT_NE(message_from([&] { e.rule().step(step); }).find("call bind with those"),
            std::string::npos);
}

TEST_P(WrongOrder, WhatARuleOwnsIsStepped) {
  at::NoGradGuard no_grad;
  const RunSettings s = settings_for(entry());
  Experiment e(s, glyphs());
  if (e.rule().owned().empty()) return;
  OwnUpdater partial(s.optimizer);
  partial.bind(e.rule().trained());
  const auto [x, y] = batch(s, 16);
  Step step = Step::train(partial, {.inputs = x, .ids = at::arange(16), .draws = Stream(3)}, y);
  EXPECT_NE(message_from([&] { e.rule().step(step); }).find("bind it to owned()"),
            std::string::npos);
}

TEST_P(WrongOrder, InputsOfAnotherTypeThanTheNetwork) {
  at::NoGradGuard no_grad;
  const RunSettings s = settings_for(entry());
  Experiment e(s, glyphs());
  const auto [x, y] = batch(s, 16);
  const Look look{.inputs = x.to(at::kDouble), .ids = at::arange(16), .draws = Stream(3)};
  Step step = Step::train(e.trainer().updater(), look, y);
  EXPECT_NE(message_from([&] { e.rule().step(step); }).find("parameters are Float"),
            std::string::npos);
  EXPECT_NE(message_from([&] { e.rule().predict(look); }).find("parameters are Float"),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Registered, WrongOrder, all_rules(), test_name);

TEST(WrongOrder, ExplicitKolenPollackNeedsItsFeedbackStepped) {
  at::NoGradGuard no_grad;
  Graph net = testing::mlp({4, 5, 3});
  const auto loss = make_loss("cross-entropy");
  const auto rule = make_rule("kolen-pollack", {{"kp.form", "explicit"}});
  OptimizerSettings settings;
  settings.weight_decay = 1e-3;
  rule->prepare_for(settings);
  rule->bind(net, *loss, 1);
  ASSERT_FALSE(rule->owned().empty());
  OwnUpdater updater(settings);
  updater.bind(net.params());
  Step step = Step::train(updater, {.inputs = at::rand({2, 4})}, at::tensor({0, 1}, at::kLong));
  EXPECT_NE(message_from([&] { rule->step(step); }).find("bind it to owned()"), std::string::npos);
}

}  // namespace
}  // namespace altprop::contract
