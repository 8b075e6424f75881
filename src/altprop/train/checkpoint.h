// Checkpoints: the state of a run in one file in the safetensors layout.
#pragma once

#include "altprop/train/safetensors.h"

namespace altprop {

struct Checkpoint {
  TensorMap tensors;
  Texts texts;
};

/// Atomically, with a check sum over all bytes. @throws Error on a full disk or a folder that
/// cannot be written
void save_checkpoint(const std::filesystem::path& path, TensorMap tensors, const Texts& texts = {});

/// @throws Error naming the file if it is missing, damaged or was not written by `save_checkpoint`
Checkpoint load_checkpoint(const std::filesystem::path& path);

/// Weights from anywhere: a checkpoint, what `altprop export` wrote, or a file of another program,
/// which has no check sum. @throws Error naming the file if it is missing or damaged
Checkpoint load_weights(const std::filesystem::path& path);

}  // namespace altprop
