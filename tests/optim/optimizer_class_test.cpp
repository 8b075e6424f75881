// What an optimizer says of itself, and that one file makes a new one: name, options, steps, facts.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/optim/own_updater.h"

namespace altprop::optimizer_classes {
namespace {

TEST(OptimizerClass, FactsAreThoseOfTheClass) {
  const struct {
    const char* kind;
    bool linear, looks_ahead, decays_apart;
    double momentum;
    std::vector<std::string> state;
    Target target;
  } expected[] = {{"sgd", true, false, false, 0, {}, Target::Value},
                  {"momentum", true, false, false, 0.7, {"first"}, Target::Average},
                  {"nesterov", true, true, false, 0.7, {"first"}, Target::Gradient},
                  {"adam", false, false, false, 0, {"first", "second", "steps"}, Target::Gradient},
                  {"adamw", false, false, true, 0, {"first", "second", "steps"}, Target::Gradient},
                  {"rmsprop", false, false, false, 0, {"second"}, Target::Gradient}};
  for (const auto& e : expected) {
    SCOPED_TRACE(e.kind);
    const OptimizerSettings s{.kind = e.kind, .momentum = 0.7};
    const StepFacts facts = s.facts(0.5, 0.25);
    EXPECT_EQ(facts.kind, e.kind);
    EXPECT_EQ(facts.lr, 0.5);
    EXPECT_EQ(facts.weight_decay, 0.25);
    EXPECT_EQ(facts.clip_factor, 1);
    EXPECT_EQ(facts.linear, e.linear);
    EXPECT_EQ(facts.looks_ahead, e.looks_ahead);
    EXPECT_EQ(facts.decays_apart, e.decays_apart);
    EXPECT_EQ(facts.momentum, e.momentum);
    EXPECT_EQ(s.effective_momentum(), e.momentum);
    std::vector<std::string> names;
    for (const StateTensor& tensor : optimizer_named(e.kind)->state(s))
      names.push_back(tensor.name);
    EXPECT_EQ(names, e.state);
    EXPECT_EQ(optimizer_named(e.kind)->takes_signals(s), e.target);
  }
  EXPECT_EQ(optimizer_entries().size(), std::size(expected));
  for (size_t i = 0; i < std::size(expected); ++i)
    EXPECT_EQ(optimizer_entries()[i].name, expected[i].kind)
        << "listings and the choices of --optimizer";
}

TEST(OptimizerClass, WithoutMomentumItIsDescentWithoutAnAverage) {
  const OptimizerSettings none{.kind = "momentum", .momentum = 0};
  EXPECT_TRUE(optimizer_named("momentum")->state(none).empty());
  EXPECT_TRUE(optimizer_named("nesterov")->state(none).empty());
  EXPECT_EQ(optimizer_named("momentum")->takes_signals(none), Target::Gradient);
}

TEST(OptimizerClass, LinearOnlyWithoutChangesByEntryOrTensor) {
  const OptimizerSettings plain{.kind = "sgd"};
  EXPECT_TRUE(plain.linear());
  OptimizerSettings norm = plain, value = plain, tensor = plain, sign = plain, kept = plain;
  norm.clip_norm = 1;
  value.clip_value = 1;
  tensor.clip_tensor_norm = 1;
  sign.sign_gradient = true;
  kept.keep_signs = true;
  EXPECT_TRUE(norm.linear()) << "one factor for all";
  for (const OptimizerSettings& s : {value, tensor, sign, kept}) {
    EXPECT_FALSE(s.linear());
    EXPECT_TRUE(s.linear_kind());
  }
}

TEST(OptimizerClass, OfAnUnknownKindNothingIsKnown) {
  const OptimizerSettings s{.kind = "momentun", .momentum = 0.9};
  EXPECT_EQ(s.known(), nullptr);
  EXPECT_FALSE(s.linear());
  EXPECT_FALSE(s.linear_kind());
  EXPECT_EQ(s.effective_momentum(), 0);
  OwnUpdater updater(s);
  try {
    updater.bind({std::make_shared<Param>("w", at::ones({2}))});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "there is no optimizer 'momentun'; did you mean 'momentum'?");
  }
}

/// Descent along the signs of an average. X. Chen et al., "Symbolic Discovery of Optimization
/// Algorithms" (Lion), 2023, arXiv 2302.06675, with one average for both of its uses.
struct SignOfAverage : Optimizer {
  std::vector<StateTensor> state(const OptimizerSettings&) const override { return {{"first"}}; }
  void step(StepTensors t, const OptimizerSettings& s, StepNumbers n) const override {
    for (size_t i = 0; i < t.values.size(); ++i) {
      t.state[0][i].mul_(s.own_number("soa.beta")).add_(t.gradients[i]);
      t.values[i].add_(t.state[0][i].sign(), -n.lr);
    }
  }
};

TEST(OptimizerClass, OneRegistrationMakesANewOne) {
  at::NoGradGuard no_grad;
  const auto option_names = [] {
    OptimizerSettings s;
    Options options;
    s.declare(options);
    return options.names();
  };
  const std::vector<std::string> before = option_names();
  {
    const RegisterOptimizer registration{
        {.name = "sign-of-average",
         .update = "m <- beta m + g; w <- w - lr sign(m)",
         .optimizer = std::make_shared<SignOfAverage>(),
         .own = {{"soa.beta", 0.5, {.min = 0, .max = 1}, {"sign-of-average: averaging", "1"}}}}};
    std::vector<std::string> with = before;
    with.push_back("soa.beta");
    EXPECT_EQ(option_names(), with) << "behind the others, which stay as they are";
    OptimizerSettings s{.kind = "sign-of-average", .lr = 0.25};
    EXPECT_EQ(s.own_number("soa.beta"), 0.5);
    Options options("settings");
    s.declare(options);
    EXPECT_EQ(s.own_number("soa.beta"), 0.5) << "declared with its default";
    options.set("optimizer", "sign-of-average");
    EXPECT_THROW(options.set("soa.beta", "2"), UsageError);
    options.set("soa.beta", "0.125");
    EXPECT_EQ(s.own_number("soa.beta"), 0.125);
    EXPECT_THROW((void)s.own_number("soa.gamma"), Error);
    EXPECT_FALSE(s.linear());
    auto param = std::make_shared<Param>("w", at::zeros({2}, at::kDouble));
    OwnUpdater updater(s);
    updater.bind({param});
    const double gradients[3][2] = {
        {1, -8}, {-0.25, 0.5}, {-0.5, 0.5}};  // averages 1, -8; -.125, -.5; -.516, .4375
    const double expected[3][2] = {{-0.25, 0.25}, {0, 0.5}, {0.25, 0.25}};
    for (int t = 0; t < 3; ++t) {
      updater.take(
          ParamSignal{param.get(), at::tensor({gradients[t][0], gradients[t][1]}, at::kDouble)});
      updater.apply();
      EXPECT_TRUE(param->value.equal(at::tensor({expected[t][0], expected[t][1]}, at::kDouble)))
          << t;
    }
    TensorMap map;
    updater.state(StateIO::saving(map));
    EXPECT_EQ(std::count_if(map.begin(), map.end(),
                            [](const auto& entry) { return entry.first.ends_with(".first0"); }),
              1);
  }
  EXPECT_EQ(option_names(), before);
  EXPECT_EQ(OptimizerSettings{.kind = "sign-of-average"}.known(), nullptr);
}

}  // namespace
}  // namespace altprop::optimizer_classes
