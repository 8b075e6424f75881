// What a rule says of its steps is true: whoever sends its signals and updates weights by himself
// does what the rule's own step does, with `after_update` if the rule follows updates and without
// it if not, unless it steps by itself. Asked beside every choice, flag and count that it has.
#include "altprop/base/error.h"
#include "contract/every_rule.h"

namespace altprop::contract {
namespace {

class FollowsUpdates : public EveryRule {
 protected:
  RunSettings settings_with(const OptionValues& values) const {
    RunSettings s = settings_for(entry());
    s.from_toml(entry().example_settings, "example_settings");
    s.batch = 8;
    s.rule_options = values;
    Options options;
    const auto rule = entry().make();
    rule->declare(options);
    for (const Options::Entry& option : options.entries())
      if (option.name.ends_with("steps") && option.name != "pc.most-steps")
        s.rule_options.emplace(option.name, "6");
    return s;
  }

  /// The options as they are, and each choice, flag and count by itself at another value.
  std::vector<OptionValues> neighbours() const {
    std::vector<OptionValues> out{{}};
    Options options;
    const auto rule = entry().make();
    rule->declare(options);
    for (const Options::Entry& option : options.entries()) {
      for (const std::string& choice : option.choices)
        if (choice != option.text()) out.push_back({{option.name, choice}});
      if (option.type == "flag")
        out.push_back({{option.name, option.text() == "true" ? "false" : "true"}});
      if (option.type == "integer" && option.text() != "0") out.push_back({{option.name, "0"}});
    }
    return out;
  }

  /// Weights, what the rule owns and what a checkpoint would hold of it, after three steps.
  /// @param by_hand signals and updates by others than the rule
  static TensorMap after_steps(Experiment& e, bool by_hand) {
    auto& rule = dynamic_cast<Rule&>(e.rule());
    Updater& updater = e.trainer().updater();
    const auto& train = glyphs()->train;
    for (int64_t i = 0; i < 3; ++i) {
      data::LoaderOptions options;
      options.batch = 8;
      options.device = test::test_device();
      const data::Batch b = data::Loader(data::first(train, 24), options).at(0, i);
      Step step = Step::train(updater,
                              {.inputs = b.inputs, .ids = b.ids, .draws = Stream(3).at(i),
                               .index = i, .learning = true},
                              b.targets);
      if (!by_hand) {
        rule.step(step);
        continue;
      }
      rule.assign(step, updater);
      updater.apply();
      if (rule.follows_updates()) rule.after_update(updater.facts(), step);
    }
    TensorMap out;
    rule.state(StateIO::saving(out));
    for (const ParamPtr& param : e.net().params()) out[param->name] = param->value.clone();
    for (const ParamPtr& param : rule.owned()) out[param->name] = param->value.clone();
    return out;
  }
};

TEST_P(FollowsUpdates, OrAnUpdateIsAllThatThereIs) {
  int looked_at = 0;
  for (const OptionValues& values : neighbours()) {
    const std::string here =
        values.empty() ? "" : values.begin()->first + "=" + values.begin()->second;
    try {
      Experiment own(settings_with(values), glyphs()), other(settings_with(values), glyphs());
      if (!dynamic_cast<Rule*>(&own.rule())) GTEST_SKIP() << "it takes steps of its own kind";
      own.trainer();
      other.trainer();
      if (own.rule().steps_itself()) continue;
      const TensorMap right = after_steps(own, false), found = after_steps(other, true);
      ASSERT_EQ(right.size(), found.size()) << here;
      for (const auto& [name, tensor] : right)
        EXPECT_TRUE(at::equal(tensor, found.at(name))) << name << " with " << here;
      ++looked_at;
    } catch (const Error&) {
      continue;  // options that the rule refuses, or that diverge
    }
  }
  EXPECT_GT(looked_at, 0);
}

INSTANTIATE_TEST_SUITE_P(Contract, FollowsUpdates, all_rules(), test_name);

}  // namespace
}  // namespace altprop::contract
