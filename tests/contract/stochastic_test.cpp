// Learner::is_stochastic is true: what a rule sends for a batch depends on the step's draws if it
// says so, and else it does not. Asked of every choice and flag that it has, and of every number
// that is off by default, so that a new option is covered by being declared.
#include "altprop/network/gradients.h"
#include "contract/every_rule.h"

namespace altprop::contract {
namespace {

/// What it sends for a batch at a step.
std::vector<Tensor> signals_at(Experiment& e, Rule& rule, int64_t index) {
  const auto [x, y] = batch(e.settings(), 8);
  Step step = Step::look_at({.inputs = x,
                             .ids = at::arange(8),
                             .draws = Stream(3).at(index),
                             .index = index},
                            y);
  Gradients sink;
  rule.assign(step, sink);
  std::vector<ParamPtr> params = rule.trained();
  for (const ParamPtr& own : rule.owned()) params.push_back(own);
  return sink.of_params(params);
}

/// Expects that a rule says whether its signals are drawn. @returns whether they are
bool expect_said(const RunSettings& s) {
  static const auto few = load_glyphs({{"glyphs.train", "20"}, {"glyphs.test", "0"}});
  Experiment e(s, few);
  auto& rule = dynamic_cast<Rule&>(e.rule());
  const std::vector<Tensor> first = signals_at(e, rule, 1), again = signals_at(e, rule, 1),
                            other = signals_at(e, rule, 2);
  bool drawn = false;
  for (size_t i = 0; i < first.size(); ++i) {
    if (!first[i].defined()) continue;
    EXPECT_TRUE(at::equal(first[i], again[i])) << "the same draws, parameter " << i;
    drawn |= !at::equal(first[i], other[i]);
  }
  EXPECT_EQ(rule.is_stochastic(), drawn);
  return drawn;
}

class StochasticRules : public EveryRule {
 protected:
  /// The options as they are, and each of these by itself at another value. What is a number is
  /// asked together with every choice and flag, which it may need beside it.
  std::vector<OptionValues> settings() const {
    std::vector<OptionValues> out{{}}, numbers;
    const auto rule = entry().make();
    Options options;
    rule->declare(options);
    for (const Options::Entry& option : options.entries()) {
      const std::vector<std::string> others = other_values(entry(), option);
      if (option.type == "choice" || option.type == "flag")
        for (const std::string& value : others) out.push_back({{option.name, value}});
      if (option.type == "number" && option.text() == "0" && !others.empty())
        numbers.push_back({{option.name, others[0]}});
    }
    const std::vector<OptionValues> choices = out;
    for (const OptionValues& number : numbers)
      for (OptionValues both : choices) {
        both.insert(number.begin(), number.end());
        out.push_back(std::move(both));
      }
    return out;
  }
};

TEST_P(StochasticRules, SayWhetherTheirSignalsAreDrawn) {
  if (!dynamic_cast<Rule*>(entry().make().get())) GTEST_SKIP() << "no signals";
  int looked_at = 0;
  for (const OptionValues& values : settings()) {
    std::string here;
    for (const auto& [name, value] : values) here += name + "=" + value + " ";
    SCOPED_TRACE(here);
    RunSettings s = settings_for(entry());
    s.rule_options = values;
    try {
      expect_said(s);
      ++looked_at;
    } catch (const Error&) {  // options that do not go together, or under which it diverges
      EXPECT_FALSE(values.empty());
    }
  }
  EXPECT_GT(looked_at, 0);
}

/// Where the asymmetry of a Jacobian has no closed form, it is estimated from draws.
TEST(StochasticHomeostasis, IsDrawnOfConvolutions) {
  RunSettings s = settings_for(rule_entry("holomorphic-ep"));
  s.rule_options = {{"hep.homeostasis", "0.1"}, {"hep.weights", "separate"}};
  EXPECT_FALSE(expect_said(s)) << "of matrices it is known";
  s.net = "chain: conv 4 k=5 s=3, dsilu, conv 6 k=3, dsilu, gap, linear 10";
  EXPECT_TRUE(expect_said(s));
  s.rule_options["hep.homeostasis"] = "0";
  EXPECT_FALSE(expect_said(s));
}

INSTANTIATE_TEST_SUITE_P(Contract, StochasticRules, all_rules(), test_name);

}  // namespace
}  // namespace altprop::contract
