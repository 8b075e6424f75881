// Reads back what `altprop train --out DIR` and `altprop compare --out DIR` wrote, or are writing.
// The fields are listed in docs/report.md; they stay JSON here, because any of them may be missing
// and the report only passes them on.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace altprop::report {

/// One trained network.
struct Run {
  /// An object: summary.json; of a run that has none (it goes on, or was killed), or one that is
  /// older than its records, what settings and records say in its place.
  nlohmann::json summary;
  std::vector<nlohmann::json> epochs;  ///< objects, in the order of metrics.jsonl; may be empty
  /// deploy.json beside it: ensembles for neuromorphic cores; null if there is none.
  nlohmann::json deployment = nullptr;
  std::string folder = "";  ///< as it was named, with that of its comparison in front
  std::string state = "";   ///< finished, running, stopped (interrupted or killed) or diverged
};

struct Records {
  nlohmann::json summary;          ///< summary.json of the folder, without its list of runs
  std::vector<Run> runs;           ///< one for `train`, one per (rule label, seed) for `compare`
  std::vector<std::string> notes;  ///< one sentence for each thing that could not be read
  bool comparison = false;
};

/// A missing or cut metrics.jsonl (a run still going, a full disk) becomes a note.
/// @throws Error when there is no record of a run, or summary.json is not one
Records read_records(const std::filesystem::path& dir);

/// The runs of several folders as if they were of one: a run that is in two of them counts once,
/// and labels that stand for different settings are told apart by their folders.
Records read_records(const std::vector<std::string>& dirs);

/// The records of a run in the order of its epochs; of one that stands twice (a resumed run), the
/// later.
std::vector<nlohmann::json> epochs_in_order(const Run& run);

/// A number of a record; NaN if it has none of that name.
double number_of(const nlohmann::json& record, const std::string& name);
/// A text of a record; "" if it has none of that name.
std::string text_of(const nlohmann::json& record, const std::string& name);
/// What tables name a run: its label, else its rule.
std::string label_of(const Run& run);

}  // namespace altprop::report
