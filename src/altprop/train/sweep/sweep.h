// Trying settings: each rule with all combinations of some values, chosen by validation data that
// are a part of the training set. The test data are taken away before anything is trained.
//
//   config.toml      settings that all runs share
//   sweep.json       what is to be tried; with it and the runs' records a sweep goes on
//   POINT-seedN/     a run
//   result.json      scores of all points, and the best of each rule
#pragma once

#include <filesystem>

#include "altprop/train/experiment.h"
#include "altprop/train/sweep/points.h"

namespace altprop {

struct SweepSettings {
  RunSettings base;                ///< `rule` and `seed` are replaced in each run
  std::vector<std::string> rules;  ///< as written
  std::vector<int64_t> seeds = {1};
  std::vector<sweeps::Axis> axes;
  int64_t halving = 0;  ///< 0: all points train for all epochs
  std::string by;       ///< score: accuracy, loss or one of the learner's; "": see `score_of_choice`
  std::string command;  ///< for the record
};

/// Trains all points of all rules. What does not fit is refused before anything is written.
/// @returns the result, as result.json has it. @throws UsageError
nlohmann::json sweep(SweepSettings settings, const std::filesystem::path& dir, bool overwrite,
                     bool show_progress);

bool is_sweep(const std::filesystem::path& dir);
/// Goes on with what is not done. @throws Error if its records are damaged
nlohmann::json resume_sweep(const std::filesystem::path& dir, bool show_progress);
/// result.json of a folder. @throws UsageError if it is no sweep, Error if it is damaged
nlohmann::json sweep_result(const std::filesystem::path& dir);

/// A table a rule, the best first.
std::string sweep_text(const nlohmann::json& result);

/// Each rule with the values that were best for it. @param rules as written; empty: all of the
/// sweep's. @throws UsageError for one that was not tuned, or for which nothing was found
std::vector<std::string> tuned_rules(const nlohmann::json& result,
                                     const std::vector<std::string>& rules);
/// What was tuned, how, and with what budget, in a sentence or two.
std::string fairness_of(const nlohmann::json& result, const std::string& folder);

}  // namespace altprop
