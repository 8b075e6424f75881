// A run's network, drawn once, as files for simulators of neuromorphic cores.
#pragma once

#include <filesystem>

#include "altprop/train/earlier_run.h"

namespace altprop {

struct CoresExport {
  std::string as = "cores";  ///< cores or ranc
  int64_t member = 0;        ///< which one, as of `deploy`
  int64_t seed = 7;
  std::string leak = "round";
  int64_t images = 0;  ///< test images whose spikes are written beside it
  std::string input = "bernoulli";  ///< what values become, as of `deploy`
  int64_t ticks = 1;                ///< of input for each image
  bool operator==(const CoresExport&) const = default;
};

/// Writes into a folder, which is made: mapping.json, or input.json and config.json for RANC; and
/// of the images inputs.txt and outputs.txt, a line for each of their ticks, and classes.txt, a
/// line for each image.
/// @returns what was written, a sentence
/// @throws Refusal for networks that no cores can hold
std::string export_cores(EarlierRun& run, const std::filesystem::path& folder,
                         const CoresExport& settings);

}  // namespace altprop
