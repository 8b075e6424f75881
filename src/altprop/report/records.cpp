#include "altprop/report/records.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"
#include "altprop/report/unfinished.h"

namespace altprop::report {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

/// Null if there is none. @throws Error if it is no record
json read_summary(const fs::path& path) {
  if (!is_there(path)) return nullptr;
  json summary = read_json_file(path);
  if (!summary.is_object())
    throw Error(text::cat("'", path.string(), "' is damaged: it is not a JSON object"));
  return summary;
}

/// `shown` names the file in notes, relative to the folder of the report.
std::vector<json> read_epochs(const fs::path& path, const std::string& shown,
                              std::vector<std::string>& notes) {
  std::vector<json> epochs;
  std::string lines;
  try {
    lines = read_file(path);
  } catch (const Error&) {
    notes.push_back(text::cat("'", shown, "' cannot be read, so this run has no curves."));
    return epochs;
  }
  size_t damaged = 0;
  for (const std::string& line : text::split(lines, '\n')) {
    if (text::trim(line).empty()) continue;
    try {
      json epoch = read_json(line, "a record");
      if (epoch.is_object()) {
        epochs.push_back(std::move(epoch));
        continue;
      }
    } catch (const Error&) {
    }
    ++damaged;
  }
  if (damaged)
    notes.push_back(text::cat(
        "'", shown, "' has ", damaged,
        damaged == 1 ? " damaged or cut line, which is" : " damaged or cut lines, which are",
        " left out."));
  return epochs;
}

/// What `altprop deploy` has left of a run, if anything.
json read_deployment(const fs::path& path, const std::string& shown,
                     std::vector<std::string>& notes) {
  if (!is_there(path)) return nullptr;
  try {
    json found = read_json_file(path);
    if (found.is_object()) return found;
  } catch (const Error&) {
  }
  notes.push_back(text::cat("'", shown, "' is damaged, so this run's ensembles are left out."));
  return nullptr;
}

/// The records of one folder must not pull in files of another: no absolute paths, no "..".
bool stays_inside(const fs::path& folder) {
  return folder.is_relative() && std::find(folder.begin(), folder.end(), "..") == folder.end();
}

/// A run in `dir` / `relative`. @param summary null if it has none
Run read_run(const fs::path& dir, const fs::path& relative, json summary,
             std::vector<std::string>& notes) {
  Run run{.summary = std::move(summary)};
  const auto shown = [&](const char* file) { return (relative / file).generic_string(); };
  const fs::path folder = relative.empty() ? dir : dir / relative;
  run.folder = folder.string();
  run.epochs = read_epochs(folder / "metrics.jsonl", shown("metrics.jsonl"), notes);
  run.deployment = read_deployment(folder / "deploy.json", shown("deploy.json"), notes);
  if (const bool at_work = is_at_work(folder); lacks_summary(run, at_work))
    make_summary(run, read_config(folder / "config.toml", shown("config.toml"), notes), at_work);
  run.state = state_of(run);
  return run;
}

Run read_listed(const fs::path& dir, const json& summary, std::vector<std::string>& notes) {
  Run run{.summary = summary, .state = "finished"};
  const auto folder = summary.find("folder");
  if (folder == summary.end() || !folder->is_string()) {
    notes.push_back("'summary.json' lists a run without its folder, so this run has no curves.");
    return run;
  }
  const fs::path relative = folder->get<std::string>();
  if (!stays_inside(relative)) {
    notes.push_back(text::cat("'summary.json' names the folder '", relative.string(),
                              "' outside its own, so this run has no curves."));
    return run;
  }
  return read_run(dir, relative, summary, notes);
}

/// What names the runs of a comparison, or the points of a sweep; null of neither. A damaged one
/// becomes a note.
json read_plan(const fs::path& dir, std::vector<std::string>& notes) {
  for (const std::string name : {"compare.json", "sweep.json"}) {
    if (!is_there(dir / name)) continue;
    try {
      json plan = read_json_file(dir / name);
      if (plan.is_object()) return plan;
    } catch (const Error&) {
    }
    notes.push_back("'" + name + "' is damaged, so runs that are not done are left out.");
    return json::object();
  }
  return nullptr;
}

/// Runs of the comparison that its summary does not know yet: begun, but not done.
void add_begun(const fs::path& dir, const json& plan, Records& records) {
  std::set<std::string> known;
  for (const Run& run : records.runs) known.insert(text_of(run.summary, "folder"));
  if (!plan.contains("folders") || !plan["folders"].is_array()) return;
  for (const json& name : plan["folders"]) {
    if (!name.is_string() || !known.insert(name.get<std::string>()).second) continue;
    const fs::path relative = name.get<std::string>();
    if (!stays_inside(relative) || !is_there(dir / relative / "config.toml")) continue;
    json summary = nullptr;
    try {
      summary = read_summary(dir / relative / "summary.json");
    } catch (const Error&) {
      records.notes.push_back(
          text::cat("'", (relative / "summary.json").string(), "' is damaged and was left out."));
    }
    Run run = read_run(dir, relative, std::move(summary), records.notes);
    run.summary["folder"] = name;
    records.runs.push_back(std::move(run));
  }
}

Records read_comparison(const fs::path& dir, json summary, const json& plan) {
  Records records;
  records.comparison = true;
  if (summary.is_null()) {
    summary = read_config(dir / "config.toml", "config.toml", records.notes);
    summary = {{"net", summary.value("net", json(nullptr))},
               {"data", summary.value("data", json(nullptr))},
               {"epochs", summary.value("epochs", json(nullptr))},
               {"command", plan.value("command", json(nullptr))},
               {"runs", json::array()}};
  }
  const std::string path = (dir / "summary.json").string();
  const json runs = summary["runs"];
  summary.erase("runs");
  records.summary = std::move(summary);
  const bool is_list =
      runs.is_array() &&
      std::all_of(runs.begin(), runs.end(), [](const json& run) { return run.is_object(); });
  if (!is_list)
    throw Error(text::cat("'", path, "' is damaged: 'runs' is not a list of run records"));
  for (const json& run : runs) records.runs.push_back(read_listed(dir, run, records.notes));
  if (plan.is_object()) add_begun(dir, plan, records);
  if (records.runs.empty()) throw Error(text::cat("'", path, "' lists no runs to report on"));
  return records;
}

/// What a run was made with, but for its seed and what tells it from others: runs of one label that
/// differ in it are not seeds of one rule.
std::string made_with(const Run& run) {
  json settings = run.summary.value("settings", json::object());
  if (!settings.is_object()) settings = json::object();
  for (const char* name : {"seed", "label", "title", "notes", "threads", "device", "epochs",
                           "max-steps", "prefetch", "checkpoint-steps", "preset", "run"})
    settings.erase(name);
  return text::cat(text_of(run.summary, "net"), "\n", text_of(run.summary, "data"), "\n",
                   settings.dump(-1, ' ', false, json::error_handler_t::replace));
}

/// Puts the folder behind labels that stand for more than one thing.
void tell_labels_apart(std::vector<Run>& runs, const std::vector<std::string>& from) {
  std::map<std::string, std::set<std::string>> made;
  std::map<std::pair<std::string, std::string>, int> seeds;
  std::set<std::string> several;
  for (const Run& run : runs) {
    made[label_of(run)].insert(made_with(run));
    const json seed = run.summary.value("seed", json(nullptr));
    if (++seeds[{label_of(run), seed.dump()}] > 1) several.insert(label_of(run));
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string label = label_of(runs[i]);
    if (made[label].size() > 1 || several.count(label))
      runs[i].summary["label"] = label + " (" + from[i] + ")";
  }
}

}  // namespace

Records read_records(const fs::path& dir) {
  Records records;
  json summary = read_summary(dir / "summary.json");
  std::vector<std::string> notes;
  const json plan = read_plan(dir, notes);
  if ((summary.is_object() && summary.contains("runs")) || (summary.is_null() && !plan.is_null())) {
    records = read_comparison(dir, std::move(summary), plan);
  } else {
    if (summary.is_null() && !is_there(dir / "config.toml") && !is_there(dir / "metrics.jsonl"))
      throw Error(text::cat("cannot read '", (dir / "summary.json").string(),
                            "'; a report is made of a folder that 'altprop train --out' or "
                            "'altprop compare --out' wrote"));
    records.runs.push_back(read_run(dir, {}, std::move(summary), records.notes));
    records.summary = records.runs[0].summary;
  }
  records.notes.insert(records.notes.begin(), notes.begin(), notes.end());
  return records;
}

Records read_records(const std::vector<std::string>& dirs) {
  if (dirs.size() == 1) return read_records(fs::path(dirs[0]));
  Records all;
  all.summary = json::object();
  all.comparison = true;
  std::vector<std::string> from, commands;
  std::set<std::string> seen;
  for (const std::string& dir : dirs) {
    Records one = read_records(fs::path(dir));
    for (const std::string& note : one.notes) all.notes.push_back(dir + ": " + note);
    for (Run& run : one.runs) {
      const std::string id = text_of(run.summary, "run");
      if (!id.empty() && !seen.insert(id).second) {
        all.notes.push_back(text::cat("the run in '", run.folder,
                                      "' is in another of the folders, too, and counts once."));
        continue;
      }
      from.push_back(dir);
      all.runs.push_back(std::move(run));
    }
  }
  tell_labels_apart(all.runs, from);
  return all;
}

std::vector<json> epochs_in_order(const Run& run) {
  std::map<double, const json*> by_epoch;
  double behind = 0;
  for (const json& record : run.epochs) {
    const double epoch = number_of(record, "epoch");
    by_epoch[std::isfinite(epoch) ? epoch : behind] = &record;
    behind = by_epoch.rbegin()->first + 1;
  }
  std::vector<json> out;
  for (const auto& [epoch, record] : by_epoch) out.push_back(*record);
  return out;
}

double number_of(const json& record, const std::string& name) {
  if (!record.is_object()) return NAN;
  const auto found = record.find(name);
  return found != record.end() && found->is_number() ? found->get<double>() : NAN;
}

std::string text_of(const json& record, const std::string& name) {
  if (!record.is_object()) return "";
  const auto found = record.find(name);
  return found != record.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string label_of(const Run& run) {
  const std::string label = text_of(run.summary, "label");
  if (!label.empty()) return label;
  const std::string rule = text_of(run.summary, "rule");
  return rule.empty() ? "unnamed rule" : rule;
}

}  // namespace altprop::report
