// Several rules on the same network, data, seeds and data order, side by side.
#pragma once

#include <filesystem>

#include "altprop/train/experiment.h"

namespace altprop {

struct CompareSettings {
  RunSettings base;                ///< `rule` and `seed` are replaced in each run
  std::vector<std::string> rules;  ///< as written: "backprop", "kp[kp.form=implicit,lr=0.01]"
  std::vector<int64_t> seeds = {1};
  std::string command;   ///< for the record
  std::string fairness;  ///< how their settings were chosen, in a sentence; "": that is not known
};

/// Runs every rule with every seed in DIR/LABEL-seedN and writes DIR/summary.json after each run.
/// If a rule or setting does not fit, it is refused before anything is written. @returns the
/// summary, an empty object if no run was begun. @throws UsageError if the folder holds something,
/// unless `overwrite`
nlohmann::json compare(const CompareSettings& settings, const std::filesystem::path& dir,
                       bool overwrite, bool show_progress);

bool is_compare(const std::filesystem::path& dir);
/// Goes on with the runs that are not done. @throws Error if its records are damaged
nlohmann::json resume_compare(const std::filesystem::path& dir, bool show_progress);

/// One row per rule: mean and standard deviation over seeds, of outcomes over the runs that did not
/// diverge. @param summary of compare()
nlohmann::json compare_table(const nlohmann::json& summary);
std::string table_text(const nlohmann::json& table);

}  // namespace altprop
