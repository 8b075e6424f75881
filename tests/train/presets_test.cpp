// Every preset must be a run that could begin: its text is read, its network is built, its rule
// takes the options, the network and the loss.
#include "altprop/train/presets.h"

#include <gtest/gtest.h>

#include <set>

#include "altprop/base/error.h"
#include "altprop/base/factors.h"
#include "altprop/data/source.h"
#include "altprop/network/architecture.h"
#include "altprop/network/loss.h"
#include "altprop/ode/flow.h"
#include "altprop/rules/registry.h"

namespace altprop {
namespace {

/// The shape and classes of the data sets that presets name.
InputInfo shape_of(const std::string& data) {
  if (data == "mnist" || data == "fashion-mnist")
    return {.input_shape = {1, 28, 28}, .classes = 10};
  if (data == "cifar-10") return {.input_shape = {3, 32, 32}, .classes = 10};
  if (data == "kdv" || data == "cahn-hilliard")
    return {.input_shape = {1, 50}, .target_values = 50};
  if (data == "npy") return {};  // the user's, whose shape the network's text says
  if (data == "cifar-100") return {.input_shape = {3, 32, 32}, .classes = 100};
  throw std::out_of_range("add the shape of " + data);
}

TEST(Presets, AreRunsThatCouldBegin) {
  ASSERT_GT(presets().size(), 30u);
  std::set<std::string> names;
  for (const Preset& preset : presets()) {
    SCOPED_TRACE(preset.name);
    EXPECT_TRUE(names.insert(preset.name).second) << "declared twice";
    EXPECT_EQ(preset.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"),
              std::string::npos);
    EXPECT_FALSE(preset.summary.empty());
    EXPECT_FALSE(preset.source.empty());
    EXPECT_TRUE(!preset.published.empty() || !preset.differs.empty());
    RunSettings settings;
    ASSERT_NO_THROW(apply_preset(settings, preset.name));
    EXPECT_EQ(settings.preset, preset.name);
    data::Request request(settings.data);
    EXPECT_NO_THROW(request.options().set_all(settings.data_options));
    const InputInfo shape = shape_of(settings.data);
    Graph net = network(settings.net, shape);
    const std::vector<int64_t> output = net.node(net.output_node()).spec.shape;
    if (settings.loss == "likelihood") {
      EXPECT_EQ(ode::flow_of(net).width + 1, output[0]);
    } else {
      EXPECT_EQ(output, std::vector<int64_t>{shape.outputs()});
    }
    const auto rule = make_rule(settings.rule, settings.rule_options);
    EXPECT_NO_THROW(rule->admit(net, *make_loss(settings.loss)));
    settings.schedule.factor(0, 0, settings.epochs, 0);
    std::vector<std::string> parameters;
    for (const ParamPtr& param : net.params()) {
      parameters.push_back(param->name);
      EXPECT_NO_THROW(factor_of("init-of", settings.init_of, param->name));
    }
    EXPECT_EQ(patterns_without_match(settings.init_of, parameters), std::vector<std::string>{});
    rule->bind(net, *make_loss(settings.loss), 1);
    for (const ParamPtr& param : rule->owned()) parameters.push_back(param->name);
    EXPECT_EQ(patterns_without_match(settings.optimizer.lr_of, parameters),
              std::vector<std::string>{});
  }
}

TEST(Presets, SettingsOfAPublishedRow) {
  RunSettings s;
  apply_preset(s, "corinfomax-mnist-3");
  EXPECT_EQ(s.optimizer.kind, "sgd");
  const double rates[] = {1.1, 0.75, 0.6, 0.17, 0.07};
  const char* parameters[] = {"fc1.weight", "fc2.weight", "fc3.weight", "fc2.weight.feedback",
                              "fc3.weight.feedback"};
  for (int i = 0; i < 5; ++i)
    EXPECT_DOUBLE_EQ(s.optimizer.lr * s.optimizer.lr_factor(parameters[i]), rates[i]);
  EXPECT_EQ(s.rule_options.at("cim.leak"), "0.2");
  EXPECT_EQ(s.data_options.at("normalise"), "unit");
  EXPECT_DOUBLE_EQ(s.schedule.factor(14, 0.5, s.epochs, 0), std::pow(0.95, 14));
  EXPECT_DOUBLE_EQ(s.schedule.factor(15, 0, s.epochs, 0), std::pow(0.9, 15));
  apply_preset(s, "corinfomax-cifar100");
  EXPECT_DOUBLE_EQ(s.schedule.factor(14, 0, s.epochs, 0), std::pow(0.99, 14));
}

TEST(Presets, RatesAndGainsOfDeepEquilibriumPropagation) {
  RunSettings s;
  apply_preset(s, "ep-cifar10");
  const Graph net = network(s.net, shape_of(s.data));
  const double rates[] = {0.25, 0.15, 0.1, 0.08, 0.05};
  std::vector<ParamPtr> weights;
  for (const ParamPtr& param : net.params())
    if (param->value.dim() > 1) weights.push_back(param);
  ASSERT_EQ(weights.size(), 5u);
  for (size_t i = 0; i < 5; ++i)
    EXPECT_DOUBLE_EQ(s.optimizer.lr * s.optimizer.lr_factor(weights[i]->name), rates[i]);
  const int64_t shape[] = {512, 512, 3, 3};
  EXPECT_EQ(weights[3]->value.sizes(), at::IntArrayRef(shape));
  RunSettings best;
  apply_preset(best, "ep-cifar10-best");
  const double gains[] = {0.4, 0.7, 0.6, 0.3, 0.4};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_DOUBLE_EQ(factor_of("init-of", best.init_of, weights[i]->name), gains[i]);
    EXPECT_DOUBLE_EQ(best.optimizer.lr_factor(weights[i]->name), 1);
  }
  EXPECT_DOUBLE_EQ(factor_of("init-of", best.init_of, "conv2.bias"), 0.5);
}

TEST(Presets, AnotherRuleDropsTheOptionsOfThePresets) {
  RunSettings s;
  apply_preset(s, "corinfomax-mnist");
  drop_foreign_options(s);
  EXPECT_EQ(s.rule_options.size(), 4u);
  s.rule = "fa[feedback.scale=2]";
  s.rule_options["feedback.density"] = "0.5";
  drop_foreign_options(s);
  EXPECT_EQ(s.rule_options, (OptionValues{{"feedback.density", "0.5"}}));
}

TEST(Presets, OtherDataDropTheOptionsThatTheyDoNotHave) {
  RunSettings s;
  apply_preset(s, "cnf-power");
  const OptionValues all = s.data_options;
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(drop_foreign_options(s), "");
  EXPECT_EQ(s.data_options, all);
  s.data = "normal";
  s.data_options["normal.values"] = "6";
  s.data_options["npy.test-x"] = "mine.npy";  // the user's own mistake, which is told as such
  const std::string said = drop_foreign_options(s);
  EXPECT_EQ(s.data_options, (OptionValues{{"normal.values", "6"},
                                          {"npy.test-x", "mine.npy"},
                                          {"validation", "0.1"}}));
  for (const char* part : {"'cnf-power' is for data 'npy'", "'normal'", "npy.task, npy.train-x,"})
    EXPECT_NE(said.find(part), std::string::npos) << said;
}

TEST(Presets, SurviveTheConfigurationFile) {
  RunSettings s, read;
  apply_preset(s, "corinfomax-sparse-cifar10");
  read.from_toml(s.to_toml(), "a file");
  EXPECT_EQ(read.to_json(), s.to_json());
  EXPECT_EQ(read.preset, "corinfomax-sparse-cifar10");
}

TEST(Presets, UnknownNames) {
  for (const auto& [name, sentence] :
       {std::pair{"corinfomax-minst",
                  "there is no preset 'corinfomax-minst'; did you mean 'corinfomax-mnist'?"},
        {"zzz", "there is no preset 'zzz'; `altprop list presets` names them"}}) {
    try {
      preset(name);
      FAIL() << name;
    } catch (const UsageError& error) {
      EXPECT_STREQ(error.what(), sentence);
    }
  }
}

}  // namespace
}  // namespace altprop
