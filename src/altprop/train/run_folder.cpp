#include "altprop/train/run_folder.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <algorithm>

#include "altprop/base/crc32.h"
#include "altprop/base/files.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"
#include "altprop/base/version.h"
#include "altprop/rules/registry.h"
#include "altprop/train/confusion.h"
#include "altprop/train/earlier_run.h"
#include "altprop/train/folder_records.h"
#include "altprop/train/run_identity.h"
#include "altprop/train/run_meta.h"
#include "altprop/train/samples.h"

namespace altprop {

namespace fs = std::filesystem;

namespace {

/// What the summary in a folder says ended its run before its time; "" if nothing.
std::string failure_of(const fs::path& dir) {
  if (!fs::exists(dir / "summary.json")) return "";
  try {
    const nlohmann::json summary = read_json_file(dir / "summary.json");
    const bool known = summary.is_object() && summary.contains("failure");
    return known && summary["failure"].is_string() ? summary["failure"].get<std::string>() : "";
  } catch (const Error&) {  // it is written anew when the run ends
    return "";
  }
}

}  // namespace

void RunFolder::check(const fs::path& dir, bool overwrite) {
  std::error_code error;
  if (dir.empty()) throw UsageError("option 'out' must name a folder, but is empty");
  if (!fs::exists(dir, error)) return;
  if (!fs::is_directory(dir, error))
    throw UsageError("'" + dir.string() + "' is no folder; choose another --out");
  if (!overwrite && !fs::is_empty(dir, error))
    throw UsageError("'" + dir.string() +
                     "' already holds something; choose another --out, continue a run there with "
                     "'altprop resume', or "
                     "add --overwrite");
}

std::vector<std::string> RunFolder::create(const fs::path& dir, bool overwrite) {
  check(dir, overwrite);
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) throw Error("the folder '" + dir.string() + "' cannot be made: " + error.message());
  const FolderLock lock(dir);
  return overwrite ? remove_records(dir) : std::vector<std::string>();
}

RunFolder::RunFolder(fs::path dir, Experiment& experiment, std::shared_ptr<FolderLock> lock)
    : dir_(std::move(dir)),
      experiment_(experiment),
      lock_(lock ? std::move(lock) : std::make_shared<FolderLock>(dir_)) {}

void RunFolder::begin() {
  identify(experiment_.settings(), experiment_.data());
  write_atomically(dir_ / "config.toml", experiment_.settings().to_toml());
  save(kNewestCheckpoint);
}

void RunFolder::save(const std::string& file, const std::string& line) {
  experiment_.trainer().require_finite();  // before the last good state is replaced
  if (line.empty()) drop_partial();
  TensorMap map;
  experiment_.trainer().state(StateIO::saving(map));
  RunMeta meta = RunMeta::here();
  RunSettings& settings = experiment_.settings();
  meta.run = settings.run["id"];
  meta.data = settings.run["data"];
  meta.settings = settings.to_json();
  meta.metrics_bytes = metrics_bytes_;
  meta.metrics_sum = crc32_text(metrics_sum_);
  meta.metrics_line = line;
  save_checkpoint(dir_ / file, std::move(map), meta.texts());
}

void RunFolder::append_record(const std::string& line, bool partial) {
  drop_partial();
  note_record(line, partial, append_line(dir_ / "metrics.jsonl", line));
}

void RunFolder::note_record(const std::string& line, bool partial, int64_t bytes) {
  // That of a part is there for readers and makes way for that of the whole, should the run go on.
  partial_ = partial;
  if (partial_) return;
  metrics_bytes_ = bytes;
  metrics_sum_ = crc32_of(line + "\n", metrics_sum_);
}

void RunFolder::drop_partial() {
  if (partial_) truncate_to(dir_ / "metrics.jsonl", metrics_bytes_);
  partial_ = false;
}

void RunFolder::restore_records(const RunMeta& meta) {
  const fs::path path = dir_ / "metrics.jsonl";
  const std::string found = fs::exists(path) ? read_file(path) : "";
  const auto size = static_cast<int64_t>(found.size());
  if (meta.metrics_bytes < 0 || meta.metrics_bytes > size)
    throw Error(text::cat("'", path.string(), "' is shorter than the checkpoint says (", size,
                          " of ", meta.metrics_bytes, " bytes); records were removed by hand"));
  const auto known = static_cast<size_t>(meta.metrics_bytes);
  metrics_bytes_ = meta.metrics_bytes;
  metrics_sum_ = crc32_of(std::string_view(found).substr(0, known));
  if (crc32_text(metrics_sum_) != meta.metrics_sum)
    throw Error(text::cat("the first ", known, " bytes of '", path.string(),
                          "' are not the records that the checkpoint beside it was written with; "
                          "put back what was changed or exchanged"));
  // Nothing is trained that could not be recorded: the file is no link and may be written.
  if (fs::exists(path)) truncate_to(path, size);
  const std::string rest = found.substr(known);
  const std::string next = meta.metrics_line.empty() ? "" : meta.metrics_line + "\n";
  if (!next.starts_with(rest))
    experiment_.trainer().warn(text::cat("'", path.string(), "' had ",
                                         rest.size() - (rest.starts_with(next) ? next.size() : 0),
                                         " bytes behind the records that the checkpoint knows, "
                                         "which were cut off"));
  const bool partial =
      !next.empty() && read_json(next, "the record of an epoch").value("partial", false);
  if (rest == next) {
    if (!next.empty()) note_record(meta.metrics_line, partial, size);
    return;
  }
  truncate_to(path, metrics_bytes_);
  if (!next.empty()) append_record(meta.metrics_line, partial);
}

void RunFolder::resume(EarlierRun& run) {
  if (!run.checkpoint) {  // it ended before there was one
    const fs::path metrics = dir_ / "metrics.jsonl";
    if (fs::exists(metrics) && !fs::is_empty(metrics))
      throw Error("'" + dir_.string() + "' has records of a run but no " + kNewestCheckpoint +
                  "; put it back, or begin a new run");
    remove_parts(dir_);
    return begin();
  }
  const RunMeta& meta = run.meta;
  Trainer& trainer = experiment_.trainer();
  for (const std::string& change : run.changes) trainer.warn(change);
  if (meta.run.empty()) {
    identify(experiment_.settings(), experiment_.data());
  } else {
    experiment_.settings().run["data"] = meta.data;
  }
  run.restore();
  remove_parts(dir_);
  restore_records(meta);
  if (const std::string failure = failure_of(dir_); !failure.empty())
    trainer.warn(text::cat(
        "this run has failed before and will again if its config.toml is the same: ", failure));
  if (const std::string differs = meta.what_differs(); !differs.empty())
    trainer.warn(
        text::cat("the checkpoint is of a processor with other instructions, so the run "
                  "will not end with the same bits as an uninterrupted one: ",
                  differs));
  write_atomically(dir_ / "config.toml",
                   experiment_.settings().to_toml());  // epochs may have been added
}

void RunFolder::on_step(const Trainer& trainer) {
  const int64_t every = trainer.settings().checkpoint_steps;
  if (every > 0 && trainer.position().step % every == 0) save(kNewestCheckpoint);
}

void RunFolder::on_epoch(Trainer& trainer, const nlohmann::json& record) {
  // The checkpoint holds the line that follows it: after a kill in between, the resumed run appends
  // it. A line that was written before its checkpoint would have to be taken back, because its
  // epoch is repeated.
  nlohmann::json with_run = record;
  with_run["run"] = experiment_.settings().run["id"];
  const std::string line = with_run.dump();
  if (trainer.improved()) save(kBestCheckpoint, line);
  save(kNewestCheckpoint, line);
  append_record(line, record.value("partial", false));
}

void RunFolder::on_stop(Trainer&, const std::string& status) {
  if (status == "interrupted") save(kNewestCheckpoint);
  summarise(status);
}

nlohmann::json RunFolder::summarise(const std::string& status) {
  Experiment& e = experiment_;
  const Trainer& t = e.trainer();
  const StepCost& cost = t.step_cost();
  nlohmann::json record = nlohmann::json::object(), last = record;
  for (const std::string& line : text::split(
           fs::exists(dir_ / "metrics.jsonl") ? read_file(dir_ / "metrics.jsonl") : "", '\n')) {
    if (line.empty()) continue;
    const std::string where = "a line of '" + (dir_ / "metrics.jsonl").string() + "'";
    last = read_json(line, where);
    if (!last.is_object()) throw Error(where + " is no record; mend or remove it");
    if (t.best_epoch() == 0 || last["epoch"] == t.best_epoch()) record = last;
  }
  auto of = [](const nlohmann::json& r, const char* key) {
    return r.contains(key) ? r[key] : nlohmann::json(nullptr);
  };
  const int64_t steps = t.position().step;
  nlohmann::json out{
      {"rule", e.settings().rule},
      {"label", e.settings().name()},
      {"run", e.settings().run["id"]},
      {"net", e.settings().net},
      {"data", e.settings().data},
      {"seed", e.settings().seed},
      {"epochs", of(last, "epoch").is_null() ? nlohmann::json(0) : last["epoch"]},
      {"steps", steps},
      {"status", status},
      {"test_accuracy", of(record, "test_accuracy")},
      {"test_loss", of(record, "test_loss")},
      {"train_loss", of(last, "train_loss")},
      {"train_accuracy", of(last, "train_accuracy")},
      {"train_seconds", t.train_seconds()},
      {"step_seconds", cost.seconds()},
      {"step_flops", cost.flops() ? nlohmann::json(*cost.flops()) : nlohmann::json(nullptr)},
      {"samples_per_second",
       t.train_seconds() > 0 ? static_cast<double>(t.trained_samples()) / t.train_seconds() : 0.0},
      {"peak_memory_bytes", t.peak_memory()},
      {"peak_memory_above_data_bytes", t.peak_memory_above_data()},
      {"parameters", e.parameters()},
      {"loss", e.settings().loss},
      {"optimizer", e.settings().optimizer.kind},
      {"learning_rate", e.settings().optimizer.lr},
      {"batch", e.settings().batch},
      {"device", e.settings().device},
      {"dtype", e.settings().dtype},
      {"threads", at::get_num_threads()},
      {"rule_options", e.settings().rule_options},
      {"settings", e.settings().to_json()},
      {"warnings", t.warnings()},
      {"altprop_version", version()},
      {"torch_version", TORCH_VERSION}};
  if (t.best_epoch() > 0) {
    out["best_epoch"] = t.best_epoch();
    out["best_validation_loss"] = of(record, "validation_loss");
    out["best_validation_accuracy"] = of(record, "validation_accuracy");
    out["last_test_accuracy"] = of(last, "test_accuracy");
  }
  if (e.rule().is_stochastic()) out["stochastic"] = true;
  if (!e.settings().title.empty()) out["title"] = e.settings().title;
  if (!e.settings().notes.empty()) out["notes"] = e.settings().notes;
  if (!e.ode_choice().empty()) out["ode_gradient"] = e.ode_choice();
  if (nlohmann::json map = density_map(e); !map.is_null()) out["density"] = std::move(map);
  for (const char* key : {"gradient", "alignment", "primary_score", "scores"})
    if (last.contains(key)) out[key] = last[key];
  for (const auto& score : last.value("scores", nlohmann::json::array()))
    for (const char* part : {"validation_", "test_"})
      if (const std::string key = part + score["name"].get<std::string>(); record.contains(key))
        out[key] = record[key];
  for (const char* key : {"validation_loss", "validation_accuracy"})
    if (record.contains(key)) out[key] = record[key];
  for (const char* part : {"train", "validation", "test"})
    for (const char* bits : {"_bits_per_character", "_bits_per_dimension"})
      if (const std::string key = std::string(part) + bits; record.contains(key))
        out[key] = record[key];
  if (status == "done" || status == "stopped early")
    if (nlohmann::json table = confusion_of(e); !table.is_null())
      out["confusion"] = std::move(table);
  if (!t.failure().empty()) out["failure"] = t.failure();
  write_atomically(dir_ / "summary.json", out.dump(2) + "\n");
  return out;
}

namespace {

nlohmann::json train_in(RunFolder& folder, Experiment& experiment,
                        const std::vector<Observer*>& observers) {
  experiment.trainer().observe(folder);
  for (Observer* observer : observers) experiment.trainer().observe(*observer);
  return folder.summarise(experiment.trainer().run());
}

}  // namespace

nlohmann::json run_in_folder(Experiment& experiment, const fs::path& dir,
                             const std::vector<Observer*>& observers,
                             std::shared_ptr<FolderLock> lock) {
  RunFolder folder(dir, experiment, std::move(lock));
  folder.begin();
  return train_in(folder, experiment, observers);
}

nlohmann::json go_on_in_folder(EarlierRun& run, const std::vector<Observer*>& observers) {
  RunFolder folder(run.dir, *run.experiment, run.lock);
  folder.resume(run);
  return train_in(folder, *run.experiment, observers);
}

}  // namespace altprop
