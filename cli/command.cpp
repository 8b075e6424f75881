#include "command.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/network/architecture.h"
#include "altprop/rules/registry.h"
#include "altprop/train/presets.h"
#include "completion.h"

namespace altprop::cli {

std::string command_line;
int exit_code = 0;

namespace {

/// What a text setting can be, where that is a list of names.
std::vector<std::string> values_of_setting(const std::string& name) {
  std::vector<std::string> out;
  if (name == "rule")
    for (const RuleEntry& entry : rule_entries()) out.push_back(entry.name);
  if (name == "net")
    for (const ArchitectureEntry& entry : architecture_entries()) out.push_back(entry.example);
  if (name == "data")
    for (const data::Source& source : data::list()) out.push_back(source.name);
  if (name == "preset")
    for (const auto& preset : preset_listing()) out.push_back(preset["name"]);
  return out;
}

/// What other programs call our settings.
std::string other_name(const std::string& name) {
  static const std::map<std::string, std::string> ours = {
      {"learning-rate", "lr"}, {"batch-size", "batch"},   {"batchsize", "batch"},
      {"epoch", "epochs"},     {"model", "net"},          {"network", "net"},
      {"arch", "net"},         {"dataset", "data"},       {"wd", "weight-decay"},
      {"optim", "optimizer"},  {"lr-schedule", "schedule"}, {"scheduler", "schedule"},
      {"lr-scheduler", "schedule"}, {"output", "out"},    {"o", "out"},
      {"out-dir", "out"},      {"output-dir", "out"},     {"algorithm", "rule"},
      {"method", "rule"},      {"steps", "max-steps"},    {"precision", "dtype"},
      {"gpu", "device"},       {"val", "validation"},     {"weights", "init-from"},
      {"checkpoint", "init-from"}, {"loss-function", "loss"}, {"warmup", "warmup-steps"},
      {"patience", "early-stop"},  {"rules", "rule"},     {"seeds", "seed"},
      {"rule", "rules"},       {"seed", "seeds"}};
  const auto found = ours.find(name);
  return found == ours.end() ? "" : found->second;
}

/// @throws UsageError saying what was probably meant
[[noreturn]] void refuse_unknown(const std::string& written, const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) known.push_back(option->get_name());
  const auto has = [&](const std::string& flag) {
    return std::count(known.begin(), known.end(), flag) > 0;
  };
  const size_t equals = written.find('=');
  std::string name = written.substr(0, equals);
  name.erase(0, name.find_first_not_of('-'));
  std::replace(name.begin(), name.end(), '_', '-');
  if (!written.starts_with("-") && equals != std::string::npos && has("--" + name))
    throw UsageError(text::cat("'", written, "' is not an option of this command; write --", name,
                               " ", written.substr(equals + 1)));
  if (const std::string ours = "--" + other_name(name); has(ours))
    throw UsageError(
        text::cat("'", written, "' is not an option of this command; it is called ", ours, " here"));
  throw UsageError("'" + written + "' is not an option of this command" +
                   text::suggestion("--" + name, known));
}

}  // namespace

void Flags::add(CLI::App& app, const Options& options, const std::vector<std::string>& leave_out) {
  for (const Options::Entry& entry : options.entries()) {
    if (std::count(leave_out.begin(), leave_out.end(), entry.name)) continue;
    std::string help = entry.doc.help;
    if (!entry.choices.empty()) help += ": " + text::join(entry.choices, "|");
    if (!entry.range_text.empty()) help += ", " + entry.range_text;
    if (!entry.doc.unit.empty() && entry.doc.unit != "1") help += " [" + entry.doc.unit + "]";
    if (!entry.default_text.empty()) help += " (" + entry.default_text + ")";
    const std::string name = entry.name;
    CLI::Option* flag = app.add_option_function<std::string>(
        "--" + name, [this, name](const std::string& value) { given_[name] = value; }, help);
    flag->type_name(text::cat("<", entry.type, ">"));
    if (!entry.group.empty()) flag->group(entry.group);
    flag->take_last();
    note_values(app, "--" + name, !entry.choices.empty() ? entry.choices
                             : entry.type == "flag" ? std::vector<std::string>{"true", "false"}
                                                    : values_of_setting(name));
    if (entry.type == "flag")
      flag->expected(0, 1)->default_str("true")->option_text("[true|false]");
  }
}

void RunFlags::add(CLI::App& app, const std::vector<std::string>& leave_out) {
  app.add_option("--config", config_, "TOML file with settings; flags override it")
      ->type_name("<file>")
      ->take_last();
  app.add_option("--data-dir", data_dir_,
                 "folder of the data sets; default: $ALTPROP_DATA, else ./data")
      ->type_name("<folder>")
      ->take_last();
  app.add_option("--validation", validation_,
                 "training samples (or a fraction) held out for validation")
      ->type_name("<number>")
      ->take_last();
  RunSettings defaults;
  Options options;
  defaults.declare(options);
  flags_.add(app, options, leave_out);
  takes_rule_ = std::count(leave_out.begin(), leave_out.end(), "rule") == 0;
  app.allow_extras();
  app.footer(
      takes_rule_
          ? "Options of the rule, of the data set and of the direction: --rule.NAME VALUE, "
            "--data.NAME VALUE and --direction.NAME VALUE; see `altprop list rules`, `altprop "
            "list data` and `altprop list directions`."
          : "Options of a rule are written behind its name, in brackets; those of the data set and "
            "of the direction are --data.NAME VALUE and --direction.NAME VALUE; see `altprop list "
            "rules`, `altprop list data` and `altprop list directions`.");
}

namespace {

/// Puts options that flags gave to the rule into the run's name, so that it says what is trained.
/// @throws UsageError if the brackets behind the rule give one of them, too
void name_run(RunSettings& settings, const OptionValues& rule_flags) {
  if (rule_flags.empty()) return;
  const RuleText written = parse_rule(settings.rule);
  std::vector<std::string> items;
  for (const auto& [name, value] : written.values) {
    for (const auto& [flag, other] : rule_flags)
      if (rule_option_name(written.name, name) == rule_option_name(written.name, flag))
        throw UsageError("option '--rule." + flag + "' is also given in brackets, in '" +
                         settings.rule + "'; leave one out");
    items.push_back(name + "=" + value);
  }
  for (const auto& [name, value] : rule_flags) items.push_back(name + "=" + value);
  settings.label = text::trim(settings.rule.substr(0, settings.rule.find('['))) + "[" +
                   text::join(items, ",") + "]";
}

/// Options of the data set or of the rule that are written as if they were the run's.
/// @throws UsageError saying how they are written
void refuse_without_owner(const std::string& flag, const RunSettings& settings, bool takes_rule) {
  if (!flag.starts_with("--")) return;
  const std::string name = flag.substr(2, flag.find('=') - 2);
  data::Request request(settings.data);
  if (request.options().has(name))
    throw UsageError("'" + flag + "' is an option of the data set '" + settings.data +
                     "'; write --data." + name);
  const std::vector<std::string> own = rule_option_names(parse_rule(settings.rule).name);
  if (takes_rule && std::count(own.begin(), own.end(), name) > 0)
    throw UsageError("'" + flag + "' is an option of the rule '" + settings.rule +
                     "'; write --rule." + name);
}

}  // namespace

std::string RunFlags::preset_name(const std::string& document) const {
  if (const auto given = flags_.given().find("preset"); given != flags_.given().end())
    return given->second;
  RunSettings named;
  OptionValues more;
  if (!document.empty()) named.from_toml(document, config_, &more);
  return named.preset;
}

RunSettings RunFlags::settings(const CLI::App& app, OptionValues* more) const {
  RunSettings settings;
  const std::string document = config_.empty() ? "" : read_input(config_);
  if (const std::string name = preset_name(document); !name.empty()) apply_preset(settings, name);
  if (!config_.empty()) settings.from_toml(document, config_, more);
  settings.run.clear();  // of the run whose settings are repeated, which this one is not
  Options options;
  settings.declare(options);
  flags_.apply(options);
  if (!data_dir_.empty()) settings.data_options["data-dir"] = data_dir_;
  if (!validation_.empty()) settings.data_options["validation"] = validation_;
  OptionValues rule_flags;
  const bool names = flags_.given().count("label") > 0;
  // What a configuration's run was called says nothing about another rule.
  if (!names && flags_.given().count("rule") > 0) settings.label.clear();
  const std::vector<std::string> extras = app.remaining();
  for (size_t i = 0; i < extras.size(); ++i) {
    std::string name = extras[i], value;
    const bool rule = name.rfind("--rule.", 0) == 0, data = name.rfind("--data.", 0) == 0,
               direction = name.rfind("--direction.", 0) == 0;
    if (!rule && !data && !direction) {
      refuse_without_owner(name, settings, takes_rule_);
      refuse_unknown(name, app);
    }
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    } else if (i + 1 < extras.size() && extras[i + 1].rfind("--", 0) != 0) {
      value = extras[++i];
    } else {
      throw UsageError("option '" + name + "' needs a value");
    }
    if (rule && !takes_rule_)
      throw UsageError("option '" + name +
                       "' belongs to one rule; write it in brackets behind that, as in fa[" +
                       name.substr(7) + "=" + value + "]");
    const std::string option = name.substr(name.find('.') + 1);
    if (data && ((option == "data-dir" && !data_dir_.empty()) ||
                 (option == "validation" && !validation_.empty())))
      throw UsageError("options '--" + option + "' and '" + name + "' are the same; leave one out");
    if (rule) rule_flags[option] = value;
    (rule        ? settings.rule_options
     : direction ? settings.direction_options
                 : settings.data_options)[option] = value;
  }
  if (!names) name_run(settings, rule_flags);
  if (const std::string notice = drop_foreign_options(settings); !notice.empty())
    std::fprintf(stderr, "note: %s\n", notice.c_str());
  return settings;
}

}  // namespace altprop::cli
