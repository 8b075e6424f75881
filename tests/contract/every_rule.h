// What the contract tests of rules share: every registered rule with settings that suit it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "altprop/base/error.h"
#include "altprop/rules/registry.h"
#include "altprop/train/experiment.h"
#include "support/device.h"
#include "support/learnt.h"

namespace altprop::contract {

inline std::shared_ptr<const data::Splits> load_glyphs(const OptionValues& options) {
  RunSettings s;
  s.data_options = options;
  s.data_options.insert({{"glyphs.train", "4000"}, {"glyphs.test", "1000"}});
  return load_data(s);
}

inline std::shared_ptr<const data::Splits> glyphs() {
  static const auto data = load_glyphs({});
  return data;
}

inline RunSettings settings_for(const RuleEntry& entry) {
  RunSettings s;
  s.rule = entry.name;
  s.net = entry.example_net;
  s.loss = entry.example_loss;
  s.optimizer.lr = 0.02;
  s.optimizer.weight_decay = 1e-4;
  s.threads = 1;
  s.device = test::test_device().str();
  s.probe_every = 0;
  s.seed += static_cast<decltype(s.seed)>(test::seed_offset());
  return s;
}

inline std::vector<Tensor> weights(Graph& net) {
  std::vector<Tensor> out;
  for (const ParamPtr& param : net.params()) out.push_back(param->value.clone());
  return out;
}

inline void expect_equal(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << "parameter " << i;
}

inline std::pair<Tensor, Tensor> batch(const RunSettings& s, int64_t n) {
  data::LoaderOptions options;
  options.batch = n;
  options.device = test::test_device();
  options.dtype = s.dtype == "float64" ? at::kDouble : at::kFloat;
  const data::Batch b = data::Loader(data::first(glyphs()->train, n), options).at(0, 0);
  return {b.inputs, b.targets};
}

class EveryRule : public ::testing::TestWithParam<size_t> {
 protected:
  const RuleEntry& entry() const { return rule_entries()[GetParam()]; }
  static Step step_of(Experiment& e, const Tensor& x, const Tensor& y) {
    return Step::train(e.trainer().updater(),
                       {.inputs = x, .ids = at::arange(x.size(0)), .draws = Stream(3)}, y);
  }
};

/// Other values of an option that it admits, in front those that are likely to act.
inline std::vector<std::string> other_values(const RuleEntry& entry, const Options::Entry& option) {
  std::vector<std::string> wanted = option.choices;
  if (option.type == "flag") wanted = {"true", "false"};
  if (option.type == "integer") wanted = {"1", "2", "5", "40"};
  if (option.type == "number") wanted = {"0.5", "1e-4", "2", "0.05", "45"};
  if (option.type == "list") wanted = {"fc2", "fc1", "2", "1,2"};
  if (option.type == "text") wanted = {"normal:0.5", "0.7", "3", "fc2>fc1"};
  const auto admits = [&](const std::string& value) {
    const auto rule = entry.make();
    Options options;
    rule->declare(options);
    try {
      options.set(option.name, value);
      return true;
    } catch (const UsageError&) {
      return false;
    }
  };
  std::vector<std::string> out;
  const std::string now = option.text();
  for (const std::string& value : wanted)
    if (value != now && admits(value)) out.push_back(value);
  return out;
}

/// Of a rule, as part of the name of a test.
inline std::string test_name(const ::testing::TestParamInfo<size_t>& info) {
  std::string name = rule_entries()[info.param].name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

inline auto all_rules() { return ::testing::Range(size_t{0}, rule_entries().size()); }

}  // namespace altprop::contract
