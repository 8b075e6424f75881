// Several rules on the same network, data, seeds and data order, side by side.
#pragma once

#include <filesystem>

#include "altprop/train/experiment.h"

namespace altprop {

struct CompareSettings {
  RunSettings base;                ///< `rule` and `seed` are replaced in each run
  std::vector<std::string> rules;  ///< as written: "backprop", "kp[kp.form=implicit,lr=0.01]"
  std::vector<int64_t> seeds = {1};
  std::string command;  ///< for the record
};

/// Runs every rule with every seed in DIR/LABEL-seedN, skipping runs that are done and resuming
/// those that are not. Writes DIR/summary.json after each run. Refuses before the first run if any
/// rule does not admit the network. @returns the summary
nlohmann::json compare(const CompareSettings& settings, const std::filesystem::path& dir,
                       bool show_progress);

/// Starts a new folder. @throws UsageError if it holds something, unless `overwrite`
void begin_compare(const CompareSettings& settings, const std::filesystem::path& dir,
                   bool overwrite);
/// The settings written by begin_compare; is_compare tells whether there are any.
bool is_compare(const std::filesystem::path& dir);
CompareSettings compare_settings_of(const std::filesystem::path& dir);

/// One row per rule: mean and standard deviation over seeds. @param summary of compare()
nlohmann::json compare_table(const nlohmann::json& summary);
std::string table_text(const nlohmann::json& table);

}  // namespace altprop
