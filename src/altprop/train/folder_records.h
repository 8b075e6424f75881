// What a run or a comparison has written into its folder, and removing it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace altprop {

inline constexpr const char* kNewestCheckpoint = "checkpoint.safetensors";
inline constexpr const char* kBestCheckpoint = "best.safetensors";
inline constexpr const char* kExportedWeights = "weights.safetensors";
inline constexpr const char* kDeployment = "deploy.json";

/// What a kill left of files that were being written.
void remove_parts(const std::filesystem::path& dir);

/// Removes the records of a run; of a comparison or a sweep also those in the folders that its
/// compare.json or sweep.json names, if these stand in `dir` themselves. No link is followed, and other files stay.
/// @returns a sentence for each folder of a run that was left alone
std::vector<std::string> remove_records(const std::filesystem::path& dir);

}  // namespace altprop
