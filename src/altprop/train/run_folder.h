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

struct EarlierRun;
struct RunMeta;

class RunFolder : public Observer {
 public:
  /// @throws UsageError if the folder exists and is not empty, unless `overwrite`
  static void check(const std::filesystem::path& dir, bool overwrite);
  /// Makes a new folder. With `overwrite`, records of an earlier run or comparison are removed;
  /// other files stay.
  /// @returns a sentence for whatever was left alone that looks as if it belonged to them
  static std::vector<std::string> create(const std::filesystem::path& dir, bool overwrite);
  /// @param lock of the folder; null: it is taken here
  RunFolder(std::filesystem::path dir, Experiment& experiment,
            std::shared_ptr<FolderLock> lock = nullptr);

  /// Writes the settings and the first state of a new run.
  void begin();
  /// Puts the experiment into the state of the checkpoint and cuts the records to it; begins if
  /// there is none.
  void resume(EarlierRun& run);
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
  int64_t metrics_bytes_ = 0;  ///< of the records of whole epochs
  uint32_t metrics_sum_ = 0;   ///< their CRC-32
  bool partial_ = false;       ///< behind them stands the record of a part of an epoch
  std::shared_ptr<FolderLock> lock_;
};

/// Runs an experiment, which is named by its settings' label, with a folder that was made for it.
/// @param lock as RunFolder's. @returns the summary
nlohmann::json run_in_folder(Experiment& experiment, const std::filesystem::path& dir,
                             const std::vector<Observer*>& observers,
                             std::shared_ptr<FolderLock> lock = nullptr);

/// Goes on with a run that was reopened to go on. @returns the summary
nlohmann::json go_on_in_folder(EarlierRun& run, const std::vector<Observer*>& observers);

}  // namespace altprop
