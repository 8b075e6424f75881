// The folder of a run: settings, a line of metrics per epoch, checkpoints, summary.
//
//   config.toml              all settings; `altprop train --config` repeats the run
//   metrics.jsonl            a JSON object per epoch
//   checkpoint.safetensors   the newest state
//   best.safetensors         the state after the epoch with the best validation loss, if there are
//                            validation data
//   summary.json             the outcome
#pragma once

#include <filesystem>

#include "altprop/base/files.h"
#include "altprop/train/experiment.h"
#include "altprop/train/folder_records.h"

namespace altprop {

struct RunMeta;

class RunFolder : public Observer {
 public:
  /// @throws UsageError if the folder exists and is not empty, unless `overwrite`
  static void check(const std::filesystem::path& dir, bool overwrite);
  /// Makes a new folder. With `overwrite`, records of an earlier run or comparison are removed;
  /// other files stay.
  /// @returns a sentence for whatever was left alone that looks as if it belonged to them
  static std::vector<std::string> create(const std::filesystem::path& dir, bool overwrite);
  /// @param label how the user wrote the rule
  RunFolder(std::filesystem::path dir, Experiment& experiment, std::string label);

  /// Writes the settings and the first state of a new run.
  void begin();
  /// Puts the experiment into the state of the newest checkpoint and cuts the records to it; begins
  /// if there is none.
  void resume();
  /// Writes summary.json and returns it.
  nlohmann::json summarise(const std::string& status);

  void on_step(const Trainer& trainer) override;
  void on_epoch(Trainer& trainer, const nlohmann::json& record) override;
  void on_stop(Trainer& trainer, const std::string& status) override;

 private:
  /// @param line of metrics that is appended next
  void save(const std::string& file, const std::string& line = "");
  /// Appends a record behind those of whole epochs.
  void append_record(const std::string& line, bool partial);
  /// A record stands in the file, which now has so many bytes.
  void note_record(const std::string& line, bool partial, int64_t bytes);
  /// Takes back the record of an epoch of which only a part was done, before the rest is.
  void drop_partial();
  /// Puts the records into the state that a checkpoint knows. @throws Error if they are not those
  /// that it was written with
  void restore_records(const RunMeta& meta);

  std::filesystem::path dir_;
  Experiment& experiment_;
  std::string label_;
  int64_t metrics_bytes_ = 0;  ///< of the records of whole epochs
  uint32_t metrics_sum_ = 0;   ///< their CRC-32
  bool partial_ = false;       ///< behind them stands the record of a part of an epoch
  FolderLock lock_;
};

/// Runs (or resumes) an experiment with its folder. @returns the summary
nlohmann::json run_in_folder(Experiment& experiment, const std::filesystem::path& dir,
                             const std::string& label, bool resume,
                             const std::vector<Observer*>& observers);

/// Settings of the run in a folder.
RunSettings settings_of(const std::filesystem::path& dir);

/// Another folder of the data sets than the run's own.
void set_data_folder(RunSettings& settings, const std::string& folder);

/// The checkpoint of a run that `state` asks for: "best", "last", or "auto", the best if there is
/// one.
std::filesystem::path chosen_checkpoint(const std::filesystem::path& dir, const std::string& state);

/// Whether an experiment that is built again has to have the data that its run was begun with.
enum class DataOfRun { Same, Others };

/// Builds the experiment of a run in a folder, in the state before training, on what has to be as
/// it was for a resumed run to equal an uninterrupted one: threads, kernels. @param label receives
/// how the user had written the rule
/// @throws Error if checkpoint, settings and data are not those of one run (train/run_identity.h)
std::unique_ptr<Experiment> reopen(const std::filesystem::path& dir, RunSettings settings,
                                   std::string& label,
                                   std::shared_ptr<const data::Splits> data = nullptr,
                                   DataOfRun which = DataOfRun::Same);

}  // namespace altprop
