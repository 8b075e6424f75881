#include "altprop/train/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "altprop/base/short_number.h"
#include "altprop/base/terminal.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

/// "  154 spikes and 9.1e+04 synaptic operations per sample, 12.3 % of units silent": of all units
/// behind the code of the inputs.
std::string firing_text(const nlohmann::json& record) {
  const auto found = record.find("firing");
  if (found == record.end()) return "";
  double spikes = 0, silent = 0, units = 0, operations = 0;
  for (const auto& row : *found) {
    if (row["events"].is_number()) operations += row["events"].get<double>();
    if (!row["spikes"].is_number() || !row["silent"].is_number()) continue;
    spikes += row["spikes"].get<double>();
    if (&row == &found->front()) continue;  // what is coded, and not what units do
    const double n = row["units"].get<double>();
    silent += row["silent"].get<double>() * n;
    units += n;
  }
  char buffer[120];
  std::snprintf(buffer, sizeof buffer,
                "  %.0f spikes and %.3g synaptic operations per sample, %.1f %% of units silent",
                spikes, operations, units > 0 ? 100 * silent / units : 0.0);
  return buffer;
}

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

}  // namespace

Progress::Progress(std::string label, bool warnings_only)
    : label_(std::move(label)),
      warnings_only_(warnings_only),
      terminal_(!warnings_only && isatty(STDERR_FILENO)) {}

void Progress::on_start(const Trainer& trainer) {
  start_ = drawn_ = std::chrono::steady_clock::now();
  first_step_ = trainer.position().step;
  show_warnings(trainer);
}

void Progress::show_warnings(const Trainer& trainer) {
  for (; warnings_shown_ < trainer.warnings().size(); ++warnings_shown_)
    std::fprintf(stderr, "%s: warning: %s\n", label_.c_str(),
                 trainer.warnings()[warnings_shown_].c_str());
}

void Progress::on_step(const Trainer& trainer) {
  if (warnings_shown_ < trainer.warnings().size()) {
    clear_bar();
    show_warnings(trainer);
  }
  if (!terminal_ || seconds_since(drawn_) < 0.1) return;
  drawn_ = std::chrono::steady_clock::now();
  const Position& at = trainer.position();
  const int64_t per_epoch = trainer.batches_per_pass() * trainer.passes_in_epoch();
  const int64_t in_epoch = at.pass * trainer.batches_per_pass() + at.batch;
  const double elapsed = seconds_since(start_),
               rate = static_cast<double>(at.step - first_step_) / elapsed;
  int64_t left = (trainer.settings().epochs - at.epoch) * per_epoch - in_epoch;
  if (trainer.settings().max_steps > 0)
    left = std::min(left, trainer.settings().max_steps - at.step);
  constexpr int kWidth = 24;
  const int filled = static_cast<int>(kWidth * in_epoch / std::max<int64_t>(1, per_epoch));
  char figures[96];
  std::snprintf(figures, sizeof figures, "loss %.4f  %.0f samples/s  %s left",
                trainer.running_loss(), rate * static_cast<double>(trainer.settings().batch),
                text::clock_text(static_cast<double>(left) / std::max(rate, 1e-9)).c_str());
  const std::string line =
      text::cat(label_, "  epoch ", at.epoch + 1, "/", trainer.settings().epochs, " [",
                std::string(static_cast<size_t>(filled), '#'),
                std::string(static_cast<size_t>(kWidth - filled), '.'), "] ", figures);
  // A line that wraps could not be drawn over.
  std::fprintf(stderr, "\r\033[K%s", line.substr(0, terminal::width(STDERR_FILENO) - 1).c_str());
  std::fflush(stderr);
}

void Progress::clear_bar() {
  if (terminal_) std::fprintf(stderr, "\r\033[K");
}

void Progress::on_epoch(Trainer& trainer, const nlohmann::json& record) {
  if (warnings_only_) return show_warnings(trainer);
  clear_bar();
  std::string line =
      text::cat(label_, "  epoch ", record["epoch"].get<int64_t>(), "/", trainer.settings().epochs);
  char buffer[64];
  for (const char* key : {"train_loss", "validation_loss", "test_loss", "validation_accuracy",
                          "test_accuracy", "test_bits_per_character", "test_bits_per_dimension"}) {
    if (!record.contains(key) || !record[key].is_number()) continue;
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', ' ');
    const bool fraction = name.find("accuracy") != std::string::npos;
    std::snprintf(buffer, sizeof buffer, fraction ? "  %s %.2f %%" : "  %s %.4f", name.c_str(),
                  record[key].get<double>() * (fraction ? 100 : 1));
    line += buffer;
  }
  for (const auto& score : record.value("scores", nlohmann::json::array())) {
    const std::string name = score["name"];
    for (const std::string part : {"validation", "test"})
      if (const auto found = record.find(part + "_" + name); found != record.end())
        line += text::cat("  ", part, " ", name, " ", found->dump());
  }
  line += firing_text(record);
  std::snprintf(buffer, sizeof buffer, "  %.0f samples/s",
                record["samples_per_second"].get<double>());
  std::fprintf(stderr, "%s%s\n", line.c_str(), buffer);
  show_warnings(trainer);
}

void Progress::on_stop(Trainer& trainer, const std::string& status) {
  clear_bar();
  if (status != "done" && !warnings_only_)
    std::fprintf(stderr, "%s  %s at step %ld\n", label_.c_str(), status.c_str(),
                 static_cast<long>(trainer.position().step));
}

}  // namespace altprop
