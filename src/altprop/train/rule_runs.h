// Runs of several rules that share everything else: what comparisons and sweeps consist of.
#pragma once

#include <filesystem>
#include <memory>

#include "altprop/train/experiment.h"
#include "altprop/train/trainer.h"

namespace altprop {

/// A label as the name of its folder: letters, digits and a few signs; the rest becomes '_'.
std::string run_folder_name(const std::string& label, int64_t seed);

/// What all runs of several have in common cannot be a rule's own. @throws UsageError naming what
/// stands in its brackets
void require_shared_settings(const std::string& rule);

/// The settings of one run. @param rule as written: "kp[kp.form=implicit,lr=0.01]"
RunSettings settings_of_rule(const RunSettings& base, const std::string& rule, int64_t seed);

/// Text that two runs have in common if and only if they train the same, whatever they are called.
std::string what_is_trained(RunSettings settings);

/// The summary in a run's folder; null if there is none, or none that can be used.
nlohmann::json usable_summary(const std::filesystem::path& dir);

/// Trains a run in its folder, from its checkpoint if it was begun. A run that is done is left
/// alone, unless it ended at a bound of steps that is lifted now. @param settings whose label is
/// the run's name; a divergence is said, and is an outcome. @returns its summary
nlohmann::json train_in_its_folder(const RunSettings& settings, const std::filesystem::path& dir,
                                   std::shared_ptr<const data::Splits> data,
                                   const std::vector<Observer*>& observers);

/// Sentences for the error output, as about what was left alone where records were removed.
void say_lines(const std::vector<std::string>& sentences);

}  // namespace altprop
