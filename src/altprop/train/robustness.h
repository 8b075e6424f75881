// How trained networks do on corrupted images.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "altprop/train/earlier_run.h"

namespace altprop {

struct RobustnessSettings {
  /// Runs or comparisons, whose runs are taken.
  std::vector<std::filesystem::path> folders;
  std::vector<std::string> corruptions;  ///< by name; empty: all
  std::string state = "auto";            ///< which weights, as ReopenOptions has it
  std::string data_dir;                  ///< of the data sets; "": as the runs had it
  int64_t seed = 1;                      ///< of what is random in the corruptions
};

/// Scores on the test images as they are ("identity") and under each corruption. Every network sees
/// the same corrupted images, normalised as those that it was trained on.
/// @param say progress, one line a call
/// @returns {"corruptions": [{name, help}], "runs": [{folder, label, seed, accuracy: {...}, loss:
/// {...}}]}, fractions and nats; with "interrupted": true after an interrupt, without the run that
/// was being looked at
/// @throws UsageError if a run's data are no images or have no test part
nlohmann::json robustness(const RobustnessSettings& settings,
                          const std::function<void(const std::string&)>& say);

/// A row for each corruption, a column for each label: the mean over its runs, and the standard
/// deviation where there are several; last the mean over the corruptions. Accuracies in per cent,
/// of regressions the loss.
std::string robustness_table(const nlohmann::json& found);

}  // namespace altprop
