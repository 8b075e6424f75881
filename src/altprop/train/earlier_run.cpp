#include "altprop/train/earlier_run.h"

#include "altprop/base/error.h"
#include "altprop/train/folder_records.h"
#include "altprop/train/run_identity.h"

namespace altprop {

namespace fs = std::filesystem;

namespace {

fs::path checkpoint_file(const fs::path& dir, const std::string& state) {
  const bool best = state == "best" || (state == "auto" && fs::exists(dir / kBestCheckpoint));
  return dir / (best ? kBestCheckpoint : kNewestCheckpoint);
}

}  // namespace

RunSettings settings_of(const fs::path& dir) {
  if (!fs::exists(dir / "config.toml"))
    throw UsageError("'" + dir.string() + "' is no run folder: it has no config.toml");
  RunSettings settings;
  OptionValues of_several;  // of a comparison, whose other records name them as well
  settings.from_toml(read_file(dir / "config.toml", kMostBytesOfAText),
                     (dir / "config.toml").string(), &of_several);
  return settings;
}

void set_data_folder(RunSettings& settings, const std::string& folder) {
  settings.data_options["data-dir"] = folder;
  settings.run.erase("written.data-dir");  // no other place is looked at
}

void EarlierRun::restore() {
  if (!checkpoint) checkpoint = load_checkpoint(file);  // which says that it is not there
  experiment->trainer().state(StateIO::loading(checkpoint->tensors));
  checkpoint.reset();
}

EarlierRun reopen(const fs::path& dir, RunSettings settings, const ReopenOptions& options) {
  EarlierRun out;
  out.dir = dir;
  out.lock = options.lock;
  out.file = checkpoint_file(dir, options.state);
  std::shared_ptr<const data::Splits> data = options.data;
  if (!fs::exists(out.file)) {
    out.experiment = std::make_unique<Experiment>(std::move(settings), std::move(data));
    return out;
  }
  out.checkpoint = load_checkpoint(out.file);
  out.meta = RunMeta::of(out.checkpoint->texts, out.file.string());
  out.changes = require_same_run(out.meta, settings, out.file.string());
  if (!data) data = load_data_again(settings);
  if (!options.other_data) require_same_data(out.meta, *data, out.file.string());
  set_linear_backend(out.meta.backend);
  set_kernels_off(out.meta.kernels_off);
  // The weights come from the checkpoint, and the threads are those it was made with; the settings
  // stay as they were.
  const RunSettings kept = settings;
  settings.threads = out.meta.threads;
  settings.init_from.clear();
  out.experiment = std::make_unique<Experiment>(std::move(settings), std::move(data));
  out.experiment->settings().threads = kept.threads;
  out.experiment->settings().init_from = kept.init_from;
  return out;
}

}  // namespace altprop
