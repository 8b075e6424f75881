#include "altprop/train/compare.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"
#include "altprop/rules/registry.h"
#include "altprop/train/earlier_run.h"
#include "altprop/train/folder_records.h"
#include "altprop/train/interrupt.h"
#include "altprop/train/paired_time.h"
#include "altprop/train/progress.h"
#include "altprop/train/run_folder.h"
#include "altprop/train/rule_runs.h"
#include "altprop/train/run_identity.h"

namespace altprop {

namespace fs = std::filesystem;

namespace {

/// Two rules that are written differently and train the same would be taken for two.
void refuse_doubles(const CompareSettings& settings) {
  std::map<std::string, std::string> written;
  for (const std::string& rule : settings.rules) {
    require_shared_settings(rule);
    const auto [other, fresh] =
        written.emplace(what_is_trained(settings_of_rule(settings.base, rule, 0)), rule);
    if (!fresh)
      throw UsageError("option 'rules' has the same rule twice, as '" + other->second +
                       "' and as '" + rule + "'");
  }
}

/// Names a rule that does not go with the network before hours are spent on the others.
void admit_all(const CompareSettings& settings, const std::shared_ptr<const data::Splits>& data) {
  refuse_doubles(settings);
  std::set<std::string> folders;
  for (const std::string& rule : settings.rules)
    if (!folders.insert(run_folder_name(rule, 0)).second)
      throw UsageError("option 'rules' has '" + rule + "' twice");
  for (const int64_t seed : settings.seeds)
    if (std::count(settings.seeds.begin(), settings.seeds.end(), seed) > 1)
      throw UsageError(text::cat("option 'seeds' has seed ", seed, " twice"));
  for (const std::string& rule : settings.rules) {
    try {
      Experiment(settings_of_rule(settings.base, rule, settings.seeds.at(0)), data);
    } catch (const Refusal& refusal) {
      throw Refusal("rule '" + rule + "'", refusal.what());
    }
  }
}

/// True if two rules have the same work to do in a step, so that their costs can be compared: a
/// rule may have a network or a batch of its own.
bool same_work(const CompareSettings& settings, const std::string& a, const std::string& b) {
  const RunSettings one = settings_of_rule(settings.base, a, 0), other = settings_of_rule(settings.base, b, 0);
  return one.net == other.net && one.batch == other.batch && one.dtype == other.dtype;
}

/// The label of the backprop that a rule is compared with; "" if there is none of the same work.
std::string backprop_of(const CompareSettings& settings, const std::string& rule) {
  for (const std::string& other : settings.rules)
    if (parse_rule(other).name == "backprop" && same_work(settings, rule, other)) return other;
  return "";
}

/// Adds what a step takes when it takes turns with one of backprop, to a run of the first seed.
void add_paired_time(const CompareSettings& settings, const std::string& rule,
                     const std::shared_ptr<const data::Splits>& data, nlohmann::json& run) {
  const std::string backprop = backprop_of(settings, rule);
  if (backprop.empty() || rule == backprop) return;
  const int64_t seed = settings.seeds.at(0);
  const auto paired = time_beside_backprop(settings_of_rule(settings.base, rule, seed),
                                           settings_of_rule(settings.base, backprop, seed), data);
  if (paired)
    run["paired_seconds"] = {
        {"rule", paired->rule}, {"backprop", paired->backprop}, {"steps", paired->steps}};
}

/// The mean of a field over the runs of a label that have it; none if there are none.
std::optional<double> mean_over_runs(const nlohmann::json& runs, const std::string& label,
                                     const std::string& field, int64_t fewest_steps = 0) {
  double sum = 0;
  int64_t n = 0;
  for (const auto& run : runs) {
    const auto found = run.find(field);
    if (run["label"] != label || found == run.end() || !found->is_number() ||
        found->get<double>() <= 0 || run.value("steps", int64_t{0}) < fewest_steps)
      continue;
    sum += found->get<double>();
    ++n;
  }
  return n > 0 ? std::optional(sum / static_cast<double>(n)) : std::nullopt;
}

/// The runs of a rule on one seed take turns with backprop's; what they found holds for all seeds.
std::map<std::string, double> paired_ratios(const nlohmann::json& runs) {
  std::map<std::string, double> out;
  for (const auto& run : runs)
    if (run.contains("paired_seconds"))
      out[run["label"]] = run["paired_seconds"]["rule"].get<double>() /
                          run["paired_seconds"]["backprop"].get<double>();
  return out;
}

/// Adds time, memory and arithmetic of a step relative to those of backprop doing the same work;
/// null where there is none. Time is as the two took turns; without that (on a GPU, or where steps
/// take long) from the runs themselves, if they have steps enough for a median.
void add_relative(const CompareSettings& settings, nlohmann::json& runs) {
  const std::map<std::string, double> ratios = paired_ratios(runs);
  const auto relative = [&](const nlohmann::json& run, const std::string& backprop,
                            const char* field, int64_t fewest_steps = 0) -> nlohmann::json {
    const auto mine = run.find(field);
    const auto theirs = mean_over_runs(runs, backprop, field, fewest_steps);
    // A summary of an earlier version may lack a field.
    if (mine == run.end() || !mine->is_number() || mine->get<double>() <= 0 || !theirs ||
        run.value("steps", int64_t{0}) < fewest_steps)
      return nullptr;
    return mine->get<double>() / *theirs;
  };
  for (auto& run : runs) {
    const std::string label = run["label"], backprop = backprop_of(settings, label);
    if (label == backprop)
      run["time_relative_to_backprop"] = 1.0;
    else if (!backprop.empty() && ratios.count(label))
      run["time_relative_to_backprop"] = ratios.at(label);
    else
      run["time_relative_to_backprop"] =
          relative(run, backprop, "step_seconds", kFewestPairedSteps);
    run["memory_relative_to_backprop"] =
        relative(run, backprop, "peak_memory_above_data_bytes");
    run["flops_relative_to_backprop"] = relative(run, backprop, "step_flops");
  }
}

/// A command line need not be UTF-8.
std::string document(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

nlohmann::json write_summary(const CompareSettings& settings, const fs::path& dir,
                             nlohmann::json runs) {
  add_relative(settings, runs);
  nlohmann::json summary{{"command", settings.command},
                         {"net", settings.base.net},
                         {"data", settings.base.data},
                         {"epochs", settings.base.epochs},
                         {"runs", runs}};
  for (const auto& [key, words] : {std::pair{"title", settings.base.title},
                                   {"notes", settings.base.notes},
                                   {"fairness", settings.fairness}})
    if (!words.empty()) summary[key] = words;
  summary["table"] = compare_table(summary);
  write_atomically(dir / "summary.json", document(summary));
  return summary;
}

nlohmann::json run_all(const CompareSettings& settings, const fs::path& dir,
                       const std::shared_ptr<const data::Splits>& data, bool show_progress) {
  const FolderLock lock(dir);
  nlohmann::json runs = nlohmann::json::array(), summary = nlohmann::json::object();
  for (int64_t seed : settings.seeds)
    for (const std::string& rule : settings.rules) {
      if (interrupt::requested()) return summary;
      const std::string folder = run_folder_name(rule, seed);
      const RunSettings of_run = settings_of_rule(settings.base, rule, seed);
      Progress progress(text::cat(of_run.label, " seed ", seed), !show_progress);
      nlohmann::json run = train_in_its_folder(of_run, dir / folder, data, {&progress});
      run["folder"] = folder;
      if (seed == settings.seeds.at(0)) add_paired_time(settings, rule, data, run);
      runs.push_back(std::move(run));
      summary = write_summary(settings, dir, runs);
    }
  return summary;
}

}  // namespace

nlohmann::json compare(const CompareSettings& settings, const fs::path& dir, bool overwrite,
                       bool show_progress) {
  RunFolder::check(dir, overwrite);
  use_machine(settings.base);
  const auto data = load_data(settings.base);
  admit_all(settings, data);
  CompareSettings kept = settings;  // which do not depend on where it is resumed
  kept.base.net = network_text(kept.base.net);
  keep_paths(kept.base);
  kept.base.run["data"] = data_digest(*data);
  const std::string config =
      kept.base.to_toml(settings.rules, settings.seeds);  // before there is a folder
  say_lines(RunFolder::create(dir, overwrite));
  std::vector<std::string> folders;
  for (const int64_t seed : settings.seeds)
    for (const std::string& rule : settings.rules) folders.push_back(run_folder_name(rule, seed));
  write_atomically(dir / "compare.json", document({{"folders", folders},
                                                   {"rules", settings.rules},
                                                   {"seeds", settings.seeds},
                                                   {"command", settings.command},
                                                   {"fairness", settings.fairness}}));
  write_atomically(dir / "config.toml", config);
  return run_all(kept, dir, data, show_progress);
}

bool is_compare(const fs::path& dir) { return fs::exists(dir / "compare.json"); }

nlohmann::json resume_compare(const fs::path& dir, bool show_progress) {
  CompareSettings settings{settings_of(dir), {}, {}, "", ""};
  try {
    const nlohmann::json stored = read_json_file(dir / "compare.json");
    stored.at("rules").get_to(settings.rules);
    stored.at("seeds").get_to(settings.seeds);
    stored.at("command").get_to(settings.command);
    if (stored.contains("fairness")) stored.at("fairness").get_to(settings.fairness);
  } catch (const std::exception&) {
    throw Error("'" + (dir / "compare.json").string() + "' is damaged; start the comparison again");
  }
  use_machine(settings.base);
  const auto data = load_data_again(settings.base);
  RunMeta begun;  // a comparison has no checkpoint of its own
  begun.data = settings.base.run["data"];
  require_same_data(begun, *data, (dir / "config.toml").string());
  return run_all(settings, dir, data, show_progress);
}

}  // namespace altprop
