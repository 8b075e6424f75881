#include "altprop/train/run_folder.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include "altprop/base/text.h"
#include "altprop/base/version.h"
#include "altprop/rules/registry.h"
#include "altprop/tensor/linear.h"
#include "altprop/train/checkpoint.h"
#include "altprop/train/files.h"

namespace altprop {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFiles[] = {"config.toml", "compare.json", "metrics.jsonl", "checkpoint.pt",
                                  "best.pt",     "summary.json", "report.html"};

/// What a kill left of a file that was being written.
void remove_parts(const fs::path& dir) {
  std::error_code error;
  for (const char* file : kFiles) fs::remove(dir / (std::string(file) + ".part"), error);
}

void remove_records(const fs::path& dir) {
  std::error_code error;
  if (fs::exists(dir / "compare.json", error))
    for (const auto& entry : fs::directory_iterator(dir, error))
      if (fs::exists(entry.path() / "config.toml", error)) {
        remove_records(entry.path());
        fs::remove(entry.path(), error);  // if nothing else is in it
      }
  for (const char* file : kFiles) fs::remove(dir / file, error);
  remove_parts(dir);
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

void RunFolder::create(const fs::path& dir, bool overwrite) {
  check(dir, overwrite);
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) throw Error("the folder '" + dir.string() + "' cannot be made: " + error.message());
  const FolderLock lock(dir);
  if (overwrite) remove_records(dir);
}

RunFolder::RunFolder(fs::path dir, Experiment& experiment, std::string label)
    : dir_(std::move(dir)), experiment_(experiment), label_(std::move(label)), lock_(dir_) {}

void RunFolder::begin() {
  write_atomically(dir_ / "config.toml", experiment_.settings().to_toml());
  save("checkpoint.pt");
}

void RunFolder::save(const std::string& file) {
  TensorMap map;
  StateIO io = StateIO::saving(map);
  experiment_.trainer().state(io);
  std::string meta = nlohmann::json{{"format", 1},
                                    {"altprop_version", version()},
                                    {"torch_version", TORCH_VERSION},
                                    {"label", label_},
                                    {"threads", at::get_num_threads()},
                                    {"linear_backend",
                                     linear_backend() == LinearBackend::OneDnn ? "onednn" : "aten"}}
                         .dump();
  io.text("meta", meta);
  io.integer("metrics_bytes", metrics_bytes_);
  save_checkpoint(dir_ / file, map);
}

void RunFolder::resume() {
  remove_parts(dir_);
  if (!fs::exists(dir_ / "checkpoint.pt")) {  // it ended before there was one
    truncate_to(dir_ / "metrics.jsonl", 0);
    return begin();
  }
  TensorMap map = load_checkpoint(dir_ / "checkpoint.pt");
  StateIO io = StateIO::loading(map);
  io.integer("metrics_bytes", metrics_bytes_);
  truncate_to(dir_ / "metrics.jsonl", metrics_bytes_);
  experiment_.trainer().state(io);
  write_atomically(dir_ / "config.toml",
                   experiment_.settings().to_toml());  // epochs may have been added
}

std::unique_ptr<Experiment> reopen(const fs::path& dir, RunSettings settings, std::string& label,
                                   std::shared_ptr<const data::Splits> data) {
  label = settings.rule;
  if (!fs::exists(dir / "checkpoint.pt"))
    return std::make_unique<Experiment>(settings, std::move(data));
  std::string text;
  {
    TensorMap map = load_checkpoint(dir / "checkpoint.pt");
    StateIO::loading(map).text("meta", text);
  }
  const nlohmann::json meta = nlohmann::json::parse(text, nullptr, false);
  if (!meta.is_object() || meta.value("format", 0) != 1)
    throw Error("'" + (dir / "checkpoint.pt").string() +
                "' is of a format this version does not know");
  label = meta.value("label", label);
  set_linear_backend(meta.value("linear_backend", "aten") == "onednn" ? LinearBackend::OneDnn
                                                                      : LinearBackend::Aten);
  // The weights come from the checkpoint, and the threads are those it was made with; the settings
  // stay as they were.
  const RunSettings kept = settings;
  settings.threads = meta.value("threads", settings.threads);
  settings.init_from.clear();
  auto experiment = std::make_unique<Experiment>(settings, std::move(data));
  experiment->settings().threads = kept.threads;
  experiment->settings().init_from = kept.init_from;
  return experiment;
}

RunSettings settings_of(const fs::path& dir) {
  if (!fs::exists(dir / "config.toml"))
    throw UsageError("'" + dir.string() + "' is no run folder: it has no config.toml");
  RunSettings settings;
  settings.from_toml(read_file(dir / "config.toml"), (dir / "config.toml").string());
  return settings;
}

void RunFolder::on_step(const Trainer& trainer) {
  const int64_t every = trainer.settings().checkpoint_steps;
  if (every > 0 && trainer.position().step % every == 0) save("checkpoint.pt");
}

void RunFolder::on_epoch(Trainer& trainer, const nlohmann::json& record) {
  // The checkpoint comes last and knows the rest: a kill in between costs a repeated epoch, never a
  // lost or doubled line or a forgotten best state.
  metrics_bytes_ = append_line(dir_ / "metrics.jsonl", record.dump());
  if (trainer.improved()) save("best.pt");
  save("checkpoint.pt");
}

void RunFolder::on_stop(Trainer&, const std::string& status) {
  if (status == "interrupted") save("checkpoint.pt");
  summarise(status);
}

nlohmann::json RunFolder::summarise(const std::string& status) {
  Experiment& e = experiment_;
  const Trainer& t = e.trainer();
  nlohmann::json record = nlohmann::json::object(), last = record;
  for (const std::string& line : text::split(
           fs::exists(dir_ / "metrics.jsonl") ? read_file(dir_ / "metrics.jsonl") : "", '\n')) {
    if (line.empty()) continue;
    last = nlohmann::json::parse(line, nullptr, false);
    if (!last.is_object())
      throw Error("'" + (dir_ / "metrics.jsonl").string() +
                  "' has a damaged line; mend or remove it");
    if (t.best_epoch() == 0 || last["epoch"] == t.best_epoch()) record = last;
  }
  auto of = [](const nlohmann::json& r, const char* key) {
    return r.contains(key) ? r[key] : nlohmann::json(nullptr);
  };
  const int64_t steps = t.position().step;
  nlohmann::json out{
      {"rule", e.settings().rule},
      {"label", label_},
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
      {"step_seconds", t.step_seconds()},
      {"step_flops", t.step_flops() ? nlohmann::json(*t.step_flops()) : nlohmann::json(nullptr)},
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
  for (const char* key : {"gradient", "alignment"})
    if (last.contains(key)) out[key] = last[key];
  write_atomically(dir_ / "summary.json", out.dump(2) + "\n");
  return out;
}

nlohmann::json run_in_folder(Experiment& experiment, const fs::path& dir, const std::string& label,
                             bool resume, std::vector<Observer*> observers) {
  RunFolder folder(dir, experiment, label);
  if (resume) {
    folder.resume();
  } else {
    folder.begin();
  }
  experiment.trainer().observe(folder);
  for (Observer* observer : observers) experiment.trainer().observe(*observer);
  return folder.summarise(experiment.trainer().run());
}

}  // namespace altprop
