#include "several.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/rules/registry.h"

namespace altprop::cli {

void check_names(const std::string& rule, const std::string& data_set) {
  make_rule(parse_rule(rule).name);
  data::Request request(data_set);
}

void Several::add(CLI::App& app, const std::string& help_of_rules) {
  app.add_option("--rules", rules_text_, help_of_rules)->type_name("<list>");
  app.add_option("--seeds", seeds_text_, "seeds, separated by commas (1)")->type_name("<list>");
}

void Several::read(const CLI::App& app, const RunSettings& base, const OptionValues& more,
                   bool may_be_none) {
  const auto given = [&](const char* flag, const char* key, std::string& text) {
    if (app.count(flag) > 0) return true;
    const auto found = more.find(key);
    if (found != more.end()) text = found->second;
    return found != more.end();
  };
  const bool named = given("--rules", "rules", rules_text_);
  for (const std::string& rule : text::split_outside_brackets(rules_text_, ','))
    if (std::string name = text::trim(rule); !name.empty()) rules_.push_back(name);
  if (!given("--seeds", "seeds", seeds_text_)) seeds_text_ = "1";
  for (const std::string& seed : text::split(seeds_text_, ',')) {
    const auto value = text::to_integer(text::trim(seed));
    if (!value || *value < 0)
      throw UsageError("option 'seeds' takes whole numbers separated by commas, but has '" + seed +
                       "'");
    seeds_.push_back(*value);
  }
  if (!named && !may_be_none) {
    if (base.preset.empty())
      throw UsageError("--rules is required, unless a preset names the rule; see altprop --help");
    rules_.push_back(base.rule);
  }
  if (rules_.empty() && !may_be_none) throw UsageError("option 'rules' names no rule");
  for (const std::string& rule : rules_) check_names(rule, base.data);
}

void Output::add(CLI::App& app) {
  app.add_option("--out", dir, "folder for the records, required")
      ->type_name("<folder>")
      ->take_last();
  app.add_flag("--overwrite", overwrite, "replace what the folder holds");
  app.add_flag("--json", json, "print the summary as JSON");
  app.add_flag("--quiet", quiet, "no progress, but warnings");
}

void Output::require(const OptionValues& more) {
  if (const auto found = more.find("out"); dir.empty() && found != more.end()) dir = found->second;
  if (dir.empty())
    throw UsageError("--out is required: the folder for the records, as in --out runs/first");
}

}  // namespace altprop::cli
