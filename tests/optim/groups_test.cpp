// Groups of parameters with an optimizer, a schedule and a decay of their own.
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/optim/own_updater.h"

namespace altprop::groups {
namespace {

ParamPtr numbers_of(const std::string& name, const std::string& group) {
  auto param = std::make_shared<Param>(name, Stream(1).at(name).normal({3}, at::kDouble));
  param->group = group;
  return param;
}

/// Three groups, of which "feedback" may have settings of its own.
struct Three {
  ParamPtr weight = numbers_of("w", "weights"), feedback = numbers_of("b", "feedback"),
           other = numbers_of("o", "other");
  OwnUpdater updater;

  explicit Three(const OptimizerSettings& s, const Schedule& schedule = {})
      : updater(s, schedule) {}
  void bind() { updater.bind({weight, feedback, other}); }
  void step(int64_t t) {
    for (const ParamPtr& param : {weight, feedback, other}) {
      updater.take(
          ParamSignal{param.get(), Stream(2).at(param->name).at(t).normal({3}, at::kDouble)});
      updater.apply(param->group);
    }
  }
};

TEST(Groups, EachHasItsOwnSchedule) {
  Three run({.kind = "sgd", .lr = 0.5}, {.kind = "cosine"});
  run.updater.set_group({"feedback",
                         {.kind = "momentum", .lr = 0.25},
                         {.kind = "step", .milestones = {"2"}, .gamma = 0.5, .warmup_steps = 4}});
  run.bind();
  const auto rate = [&](const char* group) { return run.updater.facts(group).lr; };
  run.updater.set_progress(0, 0, 8, 0);
  run.step(0);
  EXPECT_EQ(rate("weights"), 0.5);
  EXPECT_EQ(rate("feedback"), 0.25 / 4) << "the ramp is the group's alone";
  EXPECT_EQ(rate("other"), 0.5) << "a group without settings follows the run's";
  run.updater.set_progress(4, 0, 8, 9);
  run.step(1);
  EXPECT_NEAR(rate("weights"), 0.25, 1e-15);
  EXPECT_EQ(rate("feedback"), 0.125);
  EXPECT_NEAR(rate("other"), 0.25, 1e-15);
  EXPECT_EQ(run.updater.facts("feedback").kind, "momentum");
  EXPECT_EQ(run.updater.settings("other").kind, "sgd");
  run.updater.set_rate_factor(0.75);
  run.step(2);
  EXPECT_EQ(rate("weights"), 0.375);
  EXPECT_EQ(rate("feedback"), 0.1875);
}

/// A group with settings of its own steps to the bit as under an updater of its own.
TEST(Groups, StepAsUnderAnUpdaterOfTheirOwn) {
  const OptimizerSettings run_settings{.kind = "momentum", .lr = 0.1, .weight_decay = 0.05},
      own{.kind = "adam", .lr = 0.01, .weight_decay = 0.2, .clip_norm = 0.5};
  const Schedule run_schedule{.kind = "exponential", .gamma = 0.5}, schedule{.kind = "cosine"};
  Three both(run_settings, run_schedule), plain(run_settings, run_schedule), alone(own, schedule);
  both.updater.set_group({"feedback", own, schedule});
  for (Three* run : {&both, &plain, &alone}) {
    run->bind();
    for (int64_t t = 0; t < 6; ++t) {
      run->updater.set_progress(t / 2, static_cast<double>(t % 2) / 2, 3, t);
      run->step(t);
    }
  }
  EXPECT_TRUE(both.feedback->value.equal(alone.feedback->value));
  EXPECT_FALSE(both.feedback->value.equal(plain.feedback->value));
  EXPECT_TRUE(both.weight->value.equal(plain.weight->value));
  EXPECT_TRUE(both.other->value.equal(plain.other->value));
}

TEST(Groups, DecayMayBeSetForOneOrForAll) {
  // One step without gradient shows the decay: w <- (1 - lr decay) w.
  const auto decay = [](const std::function<void(OwnUpdater&)>& set) {
    Three run({.kind = "sgd", .lr = 0.5, .weight_decay = 0.25});
    run.updater.set_group({"feedback", {.kind = "sgd", .lr = 0.5, .weight_decay = 0.125}});
    run.bind();
    set(run.updater);
    std::vector<double> out;
    for (const ParamPtr& param : {run.weight, run.feedback, run.other}) {
      const double before = param->value[0].item<double>();
      run.updater.apply(param->group);
      out.push_back((1 - param->value[0].item<double>() / before) / 0.5);
      EXPECT_NEAR(run.updater.facts(param->group).weight_decay, out.back(), 1e-12);
    }
    return out;
  };
  const auto expect = [](const std::vector<double>& found, std::vector<double> wanted) {
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[i], wanted[i], 1e-12) << i;
  };
  expect(decay([](OwnUpdater&) {}), {0.25, 0.125, 0.25});
  expect(decay([](OwnUpdater& u) { u.set_weight_decay(0.5); }), {0.5, 0.5, 0.5});
  expect(decay([](OwnUpdater& u) { u.set_weight_decay("feedback", 0); }), {0.25, 0, 0.25});
  expect(decay([](OwnUpdater& u) { u.set_weight_decay("other", 0.75); }), {0.25, 0.125, 0.75});
  expect(decay([](OwnUpdater& u) {
           u.set_weight_decay("other", 0.75);
           u.set_weight_decay(0.5);
         }),
         {0.5, 0.5, 0.75});
  expect(decay([](OwnUpdater& u) {
           u.set_weight_decay("other", 0.75);
           u.set_weight_decay(0.5);
           u.set_weight_decay("other", -1);
           u.set_weight_decay(-1);
         }),
         {0.25, 0.125, 0.25});
}

TEST(Groups, BindRefusesASchedulesThatCannotBeFollowed) {
  Three run({.kind = "sgd"});
  run.updater.set_group({"feedback", {.kind = "sgd"}, {.kind = "step"}});
  EXPECT_THROW(run.bind(), UsageError) << "no milestones";
  run.updater.set_group({"feedback", {.kind = "sgd"}, {.kind = "step", .milestones = {"two"}}});
  EXPECT_THROW(run.bind(), UsageError);
  run.updater.set_group({"feedback", {.kind = "sgd"}, {.kind = "stairs"}});
  EXPECT_THROW(run.bind(), UsageError);
  run.updater.set_group({"feedback", {.kind = "sgd"}, {.kind = "step", .milestones = {"2"}}});
  run.bind();
}

/// Plain descent into the values has one rate for all, so a group with another turns it off.
TEST(Groups, TurnDescentIntoValuesOff) {
  for (const bool group : {false, true}) {
    Three run({.kind = "sgd", .lr = 0.5});
    run.updater.set_in_place(true);
    if (group) run.updater.set_group({"feedback", {.kind = "sgd", .lr = 0.25}});
    run.bind();
    EXPECT_EQ(run.updater.slot(*run.weight)->into.data_ptr() == run.weight->value.data_ptr(),
              !group);
    const Tensor before = run.feedback->value.clone();
    run.step(0);
    const Tensor g = Stream(2).at("b").at(int64_t{0}).normal({3}, at::kDouble);
    EXPECT_TRUE(at::allclose(before - run.feedback->value, (group ? 0.25 : 0.5) * g, 1e-12, 1e-12));
  }
}

}  // namespace
}  // namespace altprop::groups
