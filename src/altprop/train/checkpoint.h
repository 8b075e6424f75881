// Checkpoints: a dictionary of tensors that Python's torch.load opens.
#pragma once

#include <filesystem>

#include "altprop/tensor/state_io.h"

namespace altprop {

/// Atomically. @throws Error on a full disk or a folder that cannot be written
void save_checkpoint(const std::filesystem::path& path, const TensorMap& tensors);

/// @throws Error naming the file if it is missing, damaged or no checkpoint
TensorMap load_checkpoint(const std::filesystem::path& path);

}  // namespace altprop
