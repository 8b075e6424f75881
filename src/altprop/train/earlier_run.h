// A run that was begun earlier and is built again from its folder: to go on, to be applied, to be
// exported.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "altprop/base/files.h"
#include "altprop/train/checkpoint.h"
#include "altprop/train/experiment.h"
#include "altprop/train/run_meta.h"

namespace altprop {

/// Settings of the run in a folder.
RunSettings settings_of(const std::filesystem::path& dir);

/// Another folder of the data sets than the run's own.
void set_data_folder(RunSettings& settings, const std::string& folder);

struct EarlierRun {
  std::filesystem::path dir;
  std::filesystem::path file;              ///< of the checkpoint
  std::unique_ptr<Experiment> experiment;  ///< in the state before training
  std::optional<Checkpoint> checkpoint;    ///< none if the run ended before there was one
  RunMeta meta;                            ///< what that says of itself
  std::vector<std::string> changes;        ///< sentences about settings that are others now
  std::shared_ptr<FolderLock> lock;        ///< of a run that goes on

  /// Puts the experiment into the state of the checkpoint, which is let go. @throws Error if there
  /// is none, or it does not fit
  void restore();
};

struct ReopenOptions {
  /// Which checkpoint: "best", "last", or "auto", the best if there is one.
  std::string state = "last";
  /// Of the folder, where the run goes on: nobody else may, from before the checkpoint is read.
  std::shared_ptr<FolderLock> lock = nullptr;
  /// Other data than the run's were put into its settings on purpose.
  bool other_data = false;
  std::shared_ptr<const data::Splits> data = nullptr;  ///< loaded already; null: read here
};

/// Builds the experiment of a run in a folder, in the state before training, on what has to be as
/// it was for a resumed run to equal an uninterrupted one: threads, kernels. The checkpoint is read
/// once, and is what everything is compared with.
/// @throws Error if checkpoint, settings and data are not those of one run (train/run_identity.h)
EarlierRun reopen(const std::filesystem::path& dir, RunSettings settings,
                  const ReopenOptions& options = {});

}  // namespace altprop
