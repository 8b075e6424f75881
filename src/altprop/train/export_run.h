// A trained network as a file for other programs: plain safetensors, and with the weights whatever
// is needed to use them.
#pragma once

#include <filesystem>

#include "altprop/train/earlier_run.h"

namespace altprop {

/// Writes the network's parameters and buffers under its own names, and as texts
/// ([docs/export.md]): the network, the shape of a sample, how its values are normalised, class
/// names, the rule.
/// @param run reopened, whose checkpoint's state is taken
/// @param out a file, which is replaced in one step, or a device or a pipe
/// @throws Error if there is no checkpoint or the file cannot be written
void export_run(EarlierRun& run, const std::filesystem::path& out);

}  // namespace altprop
