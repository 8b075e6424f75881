#include "altprop/rules/registry.h"

#include <map>
#include <typeinfo>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/registry.h"
#include "altprop/base/text.h"
#include "altprop/base/utf8.h"

namespace altprop {

namespace {
Registry<RuleEntry>& registered_rules() {
  static Registry<RuleEntry> all("rule");
  return all;
}
}  // namespace

RegisterRule::RegisterRule(RuleEntry entry) { registered_rules().add(std::move(entry)); }

const std::vector<RuleEntry>& rule_entries() { return registered_rules().all(); }

const RuleEntry& rule_entry(const std::string& name) { return registered_rules().at(name); }

RuleText parse_rule(const std::string& written) {
  RuleText out;
  text::require_utf8(written, "the text of a rule");
  if (const size_t at = text::control_character(written); at != std::string::npos)
    throw UsageError(
        text::cat("the text of a rule has a control character at place ", at + 1, "; remove it"));
  out.label = text::trim(written);
  const size_t bracket = out.label.find('[');
  out.name = rule_entry(text::trim(out.label.substr(0, bracket))).name;
  if (bracket == std::string::npos) return out;
  if (out.label.back() != ']')
    throw UsageError("rule '" + out.label + "' must end with ] after its options");
  for (const std::string& item : text::split_outside_brackets(
           out.label.substr(bracket + 1, out.label.size() - bracket - 2), ',')) {
    const size_t equals = item.find('=');
    if (equals == std::string::npos)
      throw UsageError("rule '" + out.label + "': options are written name=value, but '" + item +
                       "' is not");
    const std::string name = text::trim(item.substr(0, equals));
    if (name.empty() || name.find_first_of("[]") != std::string::npos)
      throw UsageError("rule '" + out.label + "': '" + item +
                       "' is no option; in the brackets stand name=value pairs, separated by commas");
    if (!out.values.emplace(name, text::trim(item.substr(equals + 1))).second)
      throw UsageError("rule '" + out.label + "': option '" + name +
                       "' is given twice; give it once");
  }
  return out;
}

namespace {

std::map<std::string, std::string> option_texts(Learner& rule, const OptionValues& values = {}) {
  Options options;
  rule.declare(options);
  options.set_all(values);
  std::map<std::string, std::string> out;
  for (const Options::Entry& entry : options.entries()) out[entry.name] = entry.text();
  return out;
}

/// Some options of a rule are others under a name of its own (pfa.seed, feedback.seed); where both
/// are given, one of them would win in silence. @throws UsageError
void refuse_two_names(const RuleEntry& entry, const Options& options, const OptionValues& values) {
  const auto defaults = option_texts(*entry.make());
  for (const auto& [written, value] : values)
    for (const auto& [other, other_value] : values) {
      const std::string name = options.full_name(written), second = options.full_name(other);
      if (name == second) continue;
      if (option_texts(*entry.make(), {{other, other_value}}).at(name) != defaults.at(name))
        throw UsageError(text::cat("options '", name, "' and '", second, "' of rule '", entry.name,
                                   "' are the same; leave one out"));
    }
}

}  // namespace

std::unique_ptr<Learner> make_rule(const std::string& name, const OptionValues& values) {
  const RuleEntry& entry = rule_entry(name);
  std::unique_ptr<Learner> rule = entry.make();
  Options options("rule '" + entry.name + "'");
  rule->declare(options);
  options.set_all(values);
  refuse_two_names(entry, options, values);
  return rule;
}

std::vector<std::string> rule_option_names(const std::string& name) {
  std::unique_ptr<Learner> rule = rule_entry(name).make();
  Options options;
  rule->declare(options);
  return options.names();
}

std::string rule_option_name(const std::string& rule, const std::string& written) {
  const std::unique_ptr<Learner> made = rule_entry(rule).make();
  Options options;
  made->declare(options);
  return options.full_name(written);
}

std::vector<std::string> options_without_effect(Learner& rule) {
  const std::vector<Unread> unread = rule.unread();
  if (unread.empty()) return {};
  for (const RuleEntry& entry : rule_entries()) {
    const std::unique_ptr<Learner> usual = entry.make();
    const Learner &one = *usual, &other = rule;
    if (typeid(one) != typeid(other)) continue;
    const auto defaults = option_texts(*usual), values = option_texts(rule);
    std::vector<std::string> out;
    for (const auto& [option, beside] : unread)
      if (defaults.at(option) != values.at(option))
        out.push_back(text::cat(entry.name, ": ", option, " has no effect with ", beside));
    return out;
  }
  return {};
}

std::string refusal_of(const RuleEntry& entry, const Graph& net, const Loss& loss) {
  try {
    expect_output_for(loss, net);
    entry.make()->admit(net, loss);
    return "";
  } catch (const Refusal& refusal) {
    return refusal.what();
  }
}

}  // namespace altprop
