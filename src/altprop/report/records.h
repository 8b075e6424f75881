// Reads back what `altprop train --out DIR` and `altprop compare --out DIR` wrote. The fields are
// listed in docs/report.md; they stay JSON here, because any of them may be missing and the report
// only passes them on.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace altprop::report {

/// One trained network.
struct Run {
  nlohmann::json summary;              ///< an object
  std::vector<nlohmann::json> epochs;  ///< objects, in the order of metrics.jsonl; may be empty
  /// deploy.json beside it: ensembles for neuromorphic cores; null if there is none.
  nlohmann::json deployment = nullptr;
};

struct Records {
  nlohmann::json summary;          ///< summary.json of the folder, without its list of runs
  std::vector<Run> runs;           ///< one for `train`, one per (rule label, seed) for `compare`
  std::vector<std::string> notes;  ///< one sentence for each thing that could not be read
};

/// A missing or cut metrics.jsonl (a run still going, a full disk) becomes a note.
/// @throws Error when summary.json is missing or is not the record of a run
Records read_records(const std::filesystem::path& dir);

}  // namespace altprop::report
