// What a rule says of its options is true: those that it lists as unread change no bit of training,
// and every other one changes something. Asked beside every choice and flag that the rule has, so
// that a new option is covered by being declared.
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <tuple>

#include "altprop/base/error.h"
#include "altprop/data/loader.h"
#include "altprop/train/loader_options.h"
#include "contract/every_rule.h"

namespace altprop::contract {
namespace {

class UnreadOptions : public EveryRule {
 protected:
  using Weights = std::vector<Tensor>;

  RunSettings settings_with(const OptionValues& values) const {
    RunSettings s = settings_for(entry());
    s.from_toml(entry().example_settings, "example_settings");
    s.net = std::regex_replace(entry().example_net, std::regex("-[0-9]+00\\b"), "-7");
    // Two hidden layers at least: with one, nothing comes back from above it.
    s.net = std::regex_replace(s.net, std::regex("784-7-10"), "784-7-7-10");
    s.epochs = 2;
    s.batch = 8;
    s.optimizer.weight_decay = 1e-5;  // below those that rules bring
    s.rule_options = with_few_steps(values);
    return s;
  }

  /// Relaxations are short unless `values` says otherwise: there are many of them.
  OptionValues with_few_steps(OptionValues values) const {
    const auto rule = entry().make();
    Options options;
    rule->declare(options);
    for (const Options::Entry& option : options.entries())
      if (option.name.ends_with("steps") && option.name != "pc.most-steps")
        values.emplace(option.name, "6");
    return values;
  }

  std::shared_ptr<const data::Splits> few_glyphs() const {
    static std::map<std::string, std::shared_ptr<const data::Splits>> all;
    RunSettings s = settings_with({});
    s.data_options.insert(
        {{"glyphs.train", "20"}, {"glyphs.test", "0"}, {"normalise", "standard"}});
    auto& data = all[s.data_options["normalise"]];
    if (!data) data = load_data(s);
    return data;
  }

  /// After two short epochs; nothing if the rule refuses the options or they make it diverge.
  std::optional<Weights> trained(const OptionValues& values) {
    try {
      Experiment e(settings_with(values), few_glyphs());
      e.trainer().run();
      Weights out = weights(e.net());
      for (const ParamPtr& own : e.rule().owned()) out.push_back(own->value.clone());
      const data::Batch batch =
          data::Loader(few_glyphs()->train, evaluation_options(e.settings())).at(0, 0);
      out.push_back(e.rule().predict(e.trainer().evaluated(batch)).clone());  // inference
      return out;
    } catch (const Error& error) {
      refusal_ = error.what();
      return std::nullopt;
    }
  }

  std::map<std::string, std::string> unread_with(const OptionValues& values) {
    std::map<std::string, std::string> out;
    Experiment e(settings_with(values), few_glyphs());
    for (const Unread& unread : e.rule().unread()) out[unread.option] = unread.beside;
    return out;
  }

  bool admits(const std::string& option, const std::string& value) const {
    const auto rule = entry().make();
    Options options;
    rule->declare(options);
    try {
      options.set(option, value);
      return true;
    } catch (const UsageError&) {
      return false;
    }
  }

  /// The options as they are, each choice and flag turned by itself, and each count at zero.
  std::vector<OptionValues> neighbours() const {
    std::vector<OptionValues> out{{}};
    const auto rule = entry().make();
    Options options;
    rule->declare(options);
    for (const Options::Entry& option : options.entries())
      if (option.type == "choice" || option.type == "flag")
        for (const std::string& value : other_values(entry(), option))
          out.push_back({{option.name, value}});
      else if (option.type == "integer" && option.text() != "0" && admits(option.name, "0"))
        out.push_back({{option.name, "0"}});
    return out;
  }

  std::string refusal_;  // the last one

  static bool equal(const Weights& a, const Weights& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
      if (!at::equal(a[i], b[i])) return false;
    return true;
  }

  void look_at(const OptionValues& values, const Weights& as_it_is) {
    std::string here;
    for (const auto& [name, value] : values) here += name + "=" + value + " ";
    const std::map<std::string, std::string> unread = unread_with(values);
    const auto rule = entry().make();
    Options options;
    rule->declare(options);
    for (const auto& [name, beside] : unread)
      EXPECT_TRUE(options.has(name)) << name << " is no option of " << entry().name;
    options.set_all(with_few_steps(values));
    for (const Options::Entry& option : options.entries()) {
      // What acts on something that these runs lack shows nothing, wherever it is read.
      if (values.count(option.name) || !option.doc.acts_on.empty()) continue;
      bool tried = false, acts = false;
      for (const std::string& value : other_values(entry(), option)) {
        OptionValues changed = values;
        changed[option.name] = value;
        const std::optional<Weights> then = trained(changed);
        if (!then) continue;
        tried = true;
        acts = acts || !equal(as_it_is, *then);
        if (acts && !unread.count(option.name)) break;
      }
      if (!tried) continue;
      if (unread.count(option.name)) {
        EXPECT_FALSE(acts) << here << option.name << " acts, but is said to be unread with "
                           << unread.at(option.name);
      } else {
        EXPECT_TRUE(acts) << here << option.name << " changes nothing, and nothing is said of it";
      }
    }
  }
};

TEST_P(UnreadOptions, AreThoseThatChangeNothing) {
  int looked_at = 0;
  for (const OptionValues& values : neighbours())
    if (const std::optional<Weights> as_it_is = trained(values)) {
      look_at(values, *as_it_is);
      ++looked_at;
    }
  EXPECT_GT(looked_at, 0) << refusal_;
}

TEST(OptionsWithoutEffect, AreSaidWhereTheyWereChanged) {
  const auto said = [](const std::string& rule, const OptionValues& values) {
    RunSettings s = settings_for(rule_entry(rule));
    s.rule_options = values;
    Experiment e(s, glyphs());
    return e.trainer().warnings();
  };
  const auto holds = [](const std::vector<std::string>& all, const std::string& sentence) {
    return std::count(all.begin(), all.end(), sentence) > 0;
  };
  const std::string sentence = "predictive-coding: pc.time has no effect with pc.integrator=euler";
  EXPECT_TRUE(holds(said("predictive-coding", {{"pc.time", "3"}}), sentence));
  EXPECT_FALSE(holds(said("predictive-coding", {{"pc.time", "20"}}), sentence)) << "the default";
  EXPECT_FALSE(holds(said("predictive-coding", {}), sentence));
  EXPECT_TRUE(holds(said("uniform-sign", {{"init", "normal:1"}}),
                    "uniform-sign: feedback.init has no effect with uniform magnitudes, which "
                    "usf.scale sets"));
}

TEST(OptionsWithoutEffect, OneThatIsGivenUnderTwoNamesIsRefused) {
  for (const auto& [own, shared, value] : {std::tuple{"pfa.seed", "feedback.seed", "3"},
                                           {"pfa.density", "feedback.density", "0.5"},
                                           {"pfa.skip", "feedback.skip", "fc2"}}) {
    const std::string rule = "product-feedback-alignment";
    EXPECT_NO_THROW(make_rule(rule, {{own, value}}));
    EXPECT_NO_THROW(make_rule(rule, {{shared, value}, {"pfa.expand", "2"}}));
    try {
      make_rule(rule, {{own, value}, {shared, value}});
      FAIL() << own;
    } catch (const UsageError& error) {
      const std::string said = error.what();
      for (const char* part : {own, shared, "the same", "leave one out"})
        EXPECT_NE(said.find(part), std::string::npos) << said;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Contract, UnreadOptions, all_rules(), test_name);

}  // namespace
}  // namespace altprop::contract
