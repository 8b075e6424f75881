#include "altprop/train/run_folder.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <algorithm>

#include "altprop/base/text.h"
#include "altprop/base/version.h"
#include "altprop/rules/registry.h"
#include "altprop/tensor/linear.h"
#include "altprop/tensor/own_kernels.h"
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

/// What the summary in a folder says ended its run before its time; "" if nothing.
std::string failure_of(const fs::path& dir) {
  if (!fs::exists(dir / "summary.json")) return "";
  const nlohmann::json summary =
      nlohmann::json::parse(read_file(dir / "summary.json"), nullptr, false);
  const bool known = summary.is_object() && summary.contains("failure");
  return known && summary["failure"].is_string() ? summary["failure"].get<std::string>() : "";
}

/// What a checkpoint says of the program that wrote it, and of the machine where that matters to
/// the last bit.
struct Meta {
  std::string label;
  int64_t threads = 0;
  LinearBackend backend = LinearBackend::Aten;
  OwnKernels kernels_off;
  std::string instructions, library_instructions;  ///< "" in checkpoints from before they were kept

  Meta(const std::string& text, const std::string& path) {
    try {
      const nlohmann::json json = nlohmann::json::parse(text);
      if (json.at("format") != 1)
        throw Error("'" + path + "' is of a format this version does not know");
      json.at("label").get_to(label);
      json.at("threads").get_to(threads);
      if (threads < 1 || threads > 1024)
        throw Error("'" + path + "' names an impossible number of threads");
      if (json.at("linear_backend") == "onednn") backend = LinearBackend::OneDnn;
      if (json.contains("kernels_off"))
        kernels_off = OwnKernels::named(json["kernels_off"].get<std::vector<std::string>>());
      instructions = json.value("instructions", "");
      library_instructions = json.value("library_instructions", "");
    } catch (const nlohmann::json::exception&) {
      throw Error(
          "'" + path +
          "' does not say how it was made; use an earlier checkpoint or start the run again");
    } catch (const UsageError& unknown) {
      throw Error("'" + path + "' was made with other kernels: " + unknown.what());
    }
  }

  /// Kernels and libraries are chosen anew as they were, but instructions are the processor's: what
  /// cannot be taken here has to be said, because the run goes on in other last bits.
  std::string what_differs() const {
    std::vector<std::string> out;
    const auto compare = [&](const char* whose, const std::string& there, const std::string& here) {
      if (!there.empty() && there != here)
        out.push_back(text::cat(whose, " used ", there, " and use ", here, " here"));
    };
    compare("own kernels", instructions, own_instructions());
    compare("libtorch's", library_instructions, at::get_cpu_capability());
    return text::join(out, ", ");
  }
};

std::string meta_of(TensorMap map) {
  std::string text;
  StateIO::loading(map).text("meta", text);
  return text;
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

void RunFolder::save(const std::string& file, const std::string& line) {
  experiment_.trainer().require_finite();  // before the last good state is replaced
  TensorMap map;
  StateIO io = StateIO::saving(map);
  experiment_.trainer().state(io);
  std::string meta = nlohmann::json{{"format", 1},
                                    {"altprop_version", version()},
                                    {"torch_version", TORCH_VERSION},
                                    {"label", label_},
                                    {"threads", at::get_num_threads()},
                                    {"linear_backend",
                                     linear_backend() == LinearBackend::OneDnn ? "onednn" : "aten"},
                                    {"kernels_off", kernels_off().names()},
                                    {"instructions", own_instructions()},
                                    {"library_instructions", at::get_cpu_capability()}}
                         .dump();
  io.text("meta", meta);
  io.integer("metrics_bytes", metrics_bytes_);
  std::string next = line;
  io.text("metrics_line", next);
  save_checkpoint(dir_ / file, map);
}

void RunFolder::restore_records(StateIO io) {
  const fs::path path = dir_ / "metrics.jsonl";
  std::string line;
  io.integer("metrics_bytes", metrics_bytes_);
  if (io.has("metrics_line")) io.text("metrics_line", line);
  if (line.empty()) return truncate_to(path, metrics_bytes_);
  write_line(line);
}

void RunFolder::resume() {
  remove_parts(dir_);
  if (!fs::exists(dir_ / "checkpoint.pt")) {  // it ended before there was one
    truncate_to(dir_ / "metrics.jsonl", 0);
    return begin();
  }
  TensorMap map = load_checkpoint(dir_ / "checkpoint.pt");
  StateIO io = StateIO::loading(map);
  Trainer& trainer = experiment_.trainer();
  trainer.state(io);
  restore_records(io);
  if (const std::string failure = failure_of(dir_); !failure.empty())
    trainer.warn(text::cat(
        "this run has failed before and will again if its config.toml is the same: ", failure));
  const Meta meta(meta_of(map), (dir_ / "checkpoint.pt").string());
  if (const std::string differs = meta.what_differs(); !differs.empty())
    trainer.warn(
        text::cat("the checkpoint is of a processor with other instructions, so the run "
                  "will not end with the same bits as an uninterrupted one: ",
                  differs));
  write_atomically(dir_ / "config.toml",
                   experiment_.settings().to_toml());  // epochs may have been added
}

std::unique_ptr<Experiment> reopen(const fs::path& dir, RunSettings settings, std::string& label,
                                   std::shared_ptr<const data::Splits> data) {
  label = settings.name();
  if (!fs::exists(dir / "checkpoint.pt"))
    return std::make_unique<Experiment>(settings, std::move(data));
  const Meta meta(meta_of(load_checkpoint(dir / "checkpoint.pt")),
                  (dir / "checkpoint.pt").string());
  label = meta.label;
  set_linear_backend(meta.backend);
  set_kernels_off(meta.kernels_off);
  // The weights come from the checkpoint, and the threads are those it was made with; the settings
  // stay as they were.
  const RunSettings kept = settings;
  settings.threads = meta.threads;
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
  // The checkpoint holds the line that follows it: after a kill in between, the resumed run appends
  // it. A line that was written before its checkpoint would have to be taken back, because its
  // epoch is repeated.
  const std::string line = record.dump();
  if (trainer.improved()) save("best.pt", line);
  save("checkpoint.pt", line);
  write_line(line);
}

void RunFolder::write_line(const std::string& line) {
  const fs::path path = dir_ / "metrics.jsonl";
  truncate_to(path, metrics_bytes_);  // the line of a part of this epoch, if there is one
  const int64_t bytes = append_line(path, line);
  // The line of a part makes way for that of the whole, should the run go on.
  if (!nlohmann::json::parse(line).value("partial", false)) metrics_bytes_ = bytes;
}

void RunFolder::on_stop(Trainer&, const std::string& status) {
  if (status == "interrupted") save("checkpoint.pt");
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
  for (const char* key : {"gradient", "alignment", "primary_score", "scores"})
    if (last.contains(key)) out[key] = last[key];
  for (const auto& score : last.value("scores", nlohmann::json::array()))
    for (const char* part : {"validation_", "test_"})
      if (const std::string key = part + score["name"].get<std::string>(); record.contains(key))
        out[key] = record[key];
  for (const char* key :
       {"train_bits_per_character", "validation_bits_per_character", "test_bits_per_character"})
    if (record.contains(key)) out[key] = record[key];
  if (!t.failure().empty()) out["failure"] = t.failure();
  write_atomically(dir_ / "summary.json", out.dump(2) + "\n");
  return out;
}

nlohmann::json run_in_folder(Experiment& experiment, const fs::path& dir, const std::string& label,
                             bool resume, const std::vector<Observer*>& observers) {
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
