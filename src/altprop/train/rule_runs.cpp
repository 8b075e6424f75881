#include "altprop/train/rule_runs.h"

#include <cctype>
#include <cstdio>
#include <map>

#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/rules/registry.h"
#include "altprop/train/earlier_run.h"
#include "altprop/train/folder_records.h"
#include "altprop/train/run_folder.h"

namespace altprop {

namespace fs = std::filesystem;

namespace {

/// Whether the run of a summary has nothing left to do: it ended by itself, and not at a bound of
/// steps that is another now.
bool is_done(const nlohmann::json& summary, const RunSettings& settings) {
  if (!summary.is_object() || summary["status"] == "interrupted") return false;
  if (summary["status"] != "done") return true;
  const auto stored = summary.find("settings");
  if (stored == summary.end() || !stored->is_object()) return true;
  const auto found = stored->find("max-steps");
  const int64_t bound = found != stored->end() && found->is_number_integer() ? found->get<int64_t>() : 0;
  if (bound == 0 || bound == settings.max_steps) return true;
  return settings.max_steps > 0 && settings.max_steps < bound;
}

}  // namespace

std::string run_folder_name(const std::string& label, int64_t seed) {
  std::string out;
  for (char c : label)
    out +=
        std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '=' || c == ','
            ? c
            : '_';
  return text::cat(out, "-seed", seed);
}

void require_shared_settings(const std::string& rule) {
  static const std::map<std::string, std::string> kShared = {
      {"data", "--data"}, {"seed", "--seeds"}, {"threads", "--threads"}, {"device", "--device"},
      {"device-graphs", "--device-graphs"}, {"prefetch", "--prefetch"}};
  for (const auto& [name, value] : parse_rule(rule).values)
    if (const auto found = kShared.find(name); found != kShared.end())
      throw UsageError("option 'rules' has '" + rule + "', but all rules of a comparison share '" +
                       name + "'; give " + found->second + " for all of them");
}

RunSettings settings_of_rule(const RunSettings& base, const std::string& rule, int64_t seed) {
  RunSettings run = base;
  run.rule = run.label = rule;
  run.seed = seed;
  // A preset's options of its rule go with that rule.
  if (run.preset.empty() || parse_rule(rule).name != parse_rule(base.rule).name)
    run.rule_options.clear();
  expand_rule(run);
  return run;
}

std::string what_is_trained(RunSettings run) {
  const std::unique_ptr<Learner> made = make_rule(run.rule);
  Options options("rule '" + run.rule + "'");
  made->declare(options);
  options.set_all(run.rule_options);
  run.rule_options.clear();
  run.label.clear();
  return run.to_toml() + options.values().dump();
}

nlohmann::json usable_summary(const fs::path& dir) {
  if (!fs::exists(dir / "summary.json")) return nullptr;
  nlohmann::json found;
  try {
    found = read_json_file(dir / "summary.json");
  } catch (const Error&) {  // the run goes on from its checkpoint and writes another
    return nullptr;
  }
  if (!found.is_object()) return nullptr;
  for (const char* key : {"rule", "label", "status"})
    if (!found.contains(key) || !found[key].is_string()) return nullptr;
  for (const char* key : {"step_seconds", "peak_memory_above_data_bytes"})
    if (!found.contains(key) || !found[key].is_number()) return nullptr;
  return found;
}

void say_lines(const std::vector<std::string>& sentences) {
  for (const std::string& sentence : sentences)
    std::fprintf(stderr, "%s\n", text::printable(sentence).c_str());
}

nlohmann::json train_in_its_folder(const RunSettings& settings, const fs::path& dir,
                                   std::shared_ptr<const data::Splits> data,
                                   const std::vector<Observer*>& observers) {
  std::error_code error;
  fs::create_directory(dir, error);  // what is in its place is looked at by who opens it
  const auto lock = std::make_shared<FolderLock>(dir, FolderLink::Refused);
  if (error) throw Error("the folder '" + dir.string() + "' cannot be made: " + error.message());
  if (nlohmann::json summary = usable_summary(dir); is_done(summary, settings)) return summary;
  try {
    if (fs::exists(dir / "config.toml")) {
      RunSettings stored = settings_of(dir);
      stored.label = settings.label;  // by which the others know it
      stored.max_steps = settings.max_steps;
      EarlierRun run = reopen(dir, stored, {.lock = lock, .data = std::move(data)});
      return go_on_in_folder(run, observers);
    }
    say_lines(remove_records(dir));
    Experiment experiment(settings, std::move(data));
    return run_in_folder(experiment, dir, observers, lock);
  } catch (const Diverged& diverged) {  // the others go on
    std::fprintf(stderr, "%s seed %ld: %s\n", settings.label.c_str(),
                 static_cast<long>(settings.seed), diverged.what());
    return read_json_file(dir / "summary.json");
  }
}

}  // namespace altprop
