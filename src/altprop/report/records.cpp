#include "altprop/report/records.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"

namespace altprop::report {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json read_summary(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error))
    throw Error(text::cat("cannot read '", path.string(),
                          "'; a report is made of a folder that 'altprop train --out' or 'altprop "
                          "compare --out' wrote"));
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
  std::error_code error;
  if (!fs::exists(path, error)) return nullptr;
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

Run read_run(const fs::path& dir, const json& summary, std::vector<std::string>& notes) {
  Run run{.summary = summary};
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
  const fs::path metrics = relative / "metrics.jsonl";
  run.epochs = read_epochs(dir / metrics, metrics.generic_string(), notes);
  const fs::path deployment = relative / "deploy.json";
  run.deployment = read_deployment(dir / deployment, deployment.generic_string(), notes);
  return run;
}

}  // namespace

Records read_records(const fs::path& dir) {
  Records records;
  const fs::path path = dir / "summary.json";
  records.summary = read_summary(path);
  if (!records.summary.contains("runs")) {
    records.runs.push_back(
        {records.summary, read_epochs(dir / "metrics.jsonl", "metrics.jsonl", records.notes),
         read_deployment(dir / "deploy.json", "deploy.json", records.notes)});
    return records;
  }
  const json runs = records.summary["runs"];
  records.summary.erase("runs");
  const bool is_list =
      runs.is_array() &&
      std::all_of(runs.begin(), runs.end(), [](const json& run) { return run.is_object(); });
  if (!is_list)
    throw Error(text::cat("'", path.string(), "' is damaged: 'runs' is not a list of run records"));
  if (runs.empty()) throw Error(text::cat("'", path.string(), "' lists no runs to report on"));
  for (const json& run : runs) records.runs.push_back(read_run(dir, run, records.notes));
  return records;
}

}  // namespace altprop::report
