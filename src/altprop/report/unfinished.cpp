#include "altprop/report/unfinished.h"

#include <fcntl.h>
#include <sys/file.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/text.h"

namespace altprop::report {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json json_of(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    json out = json::object();
    for (const auto& [key, value] : *table) out[std::string(key.str())] = json_of(value);
    return out;
  }
  if (const auto* array = node.as_array()) {
    json out = json::array();
    for (const toml::node& item : *array) out.push_back(json_of(item));
    return out;
  }
  if (const auto* s = node.as_string()) return s->get();
  if (const auto* i = node.as_integer()) return i->get();
  if (const auto* f = node.as_floating_point())
    return std::isfinite(f->get()) ? json(f->get()) : json(nullptr);
  if (const auto* b = node.as_boolean()) return b->get();
  return nullptr;
}

/// The record that the outcome is taken from: that of the best epoch by the validation data, where
/// there are any; else the last.
const json& record_of_outcome(const std::vector<json>& epochs) {
  std::string key = "validation_loss";
  bool more_is_better = false;
  if (const std::string primary = text_of(epochs.back(), "primary_score"); !primary.empty()) {
    key = "validation_" + primary;
    for (const json& score : epochs.back().value("scores", json::array()))
      if (text_of(score, "name") == primary && score.contains("more_is_better"))
        more_is_better = score["more_is_better"] == true;
  }
  const json* best = nullptr;
  for (const json& record : epochs) {
    const double value = number_of(record, key);
    if (std::isnan(value)) continue;
    const double known = best ? number_of(*best, key) : NAN;
    if (!best || (more_is_better ? value > known : value < known)) best = &record;
  }
  return best ? *best : epochs.back();
}

/// What of a summary the settings say.
json summary_of(const json& config) {
  json out = json::object(), settings = json::object();
  if (config.empty()) return out;
  for (const auto& [name, value] : config.items())
    if (name != "run") settings[name] = value;
  for (const char* name : {"rule", "net", "data", "seed", "loss", "optimizer", "batch", "device",
                           "dtype", "title", "notes"})
    if (config.contains(name)) out[name] = config[name];
  const std::string label = text_of(config, "label"), rule = text_of(config, "rule");
  if (!label.empty() || !rule.empty()) out["label"] = label.empty() ? rule : label;
  if (config.contains("lr")) out["learning_rate"] = config["lr"];
  if (config.contains("rule-options")) out["rule_options"] = config["rule-options"];
  if (config.contains("run") && config["run"].is_object() && config["run"].contains("id"))
    out["run"] = config["run"]["id"];
  out["settings"] = std::move(settings);
  return out;
}

void put_outcome(json& summary, const std::vector<json>& epochs) {
  const json &last = epochs.back(), &best = record_of_outcome(epochs);
  summary["epochs"] = last.value("epoch", json(nullptr));
  summary["steps"] = last.value("step", json(nullptr));
  double seconds = 0;
  for (const json& record : epochs)
    if (const double s = number_of(record, "seconds"); std::isfinite(s)) seconds += s;
  summary["train_seconds"] = seconds;
  const auto copy = [&](const json& from, std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (from.contains(name)) summary[name] = from[name];
  };
  copy(best, {"test_accuracy", "test_loss", "validation_accuracy", "validation_loss"});
  copy(last, {"train_loss", "train_accuracy", "primary_score", "scores", "samples_per_second"});
  for (const json& record : epochs) copy(record, {"gradient", "alignment"});
  if (best.contains("validation_loss")) summary["best_epoch"] = best.value("epoch", json(nullptr));
  if (!last.contains("scores") || !last["scores"].is_array()) return;
  for (const json& score : last["scores"])
    for (const char* part : {"validation_", "test_"})
      copy(best, {(part + text_of(score, "name")).c_str()});
}

}  // namespace

json read_config(const fs::path& path, const std::string& shown, std::vector<std::string>& notes) {
  std::error_code error;
  if (!fs::exists(path, error)) return json::object();
  try {
    return json_of(toml::parse(read_file(path, kMostBytesOfAText)));
  } catch (const toml::parse_error&) {
  } catch (const Error&) {
  }
  notes.push_back(text::cat("'", shown, "' cannot be read, so this run's settings are left out."));
  return json::object();
}

bool is_at_work(const fs::path& dir) {
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  // Shared and for a moment: who trains holds the lock alone, and two who only look do not meet.
  const bool locked = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return locked;
}

bool lacks_summary(const Run& run, bool at_work) {
  if (at_work || run.summary.is_null()) return true;
  const double done = number_of(run.summary, "epochs");
  return std::isfinite(done) && !run.epochs.empty() &&
         number_of(epochs_in_order(run).back(), "epoch") > done;
}

void make_summary(Run& run, const json& config, bool at_work) {
  json made = run.summary.is_object() ? std::move(run.summary) : json::object();
  made.erase("failure");
  made.update(summary_of(config));
  if (const std::vector<json> epochs = epochs_in_order(run); !epochs.empty())
    put_outcome(made, epochs);
  made["status"] = at_work ? "running" : "interrupted";
  run.summary = std::move(made);
}

std::string state_of(const Run& run) {
  const std::string status = text_of(run.summary, "status");
  return status == "running" || status == "diverged" ? status
         : status == "interrupted"                   ? "stopped"
                                                     : "finished";
}

}  // namespace altprop::report
