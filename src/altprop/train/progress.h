// What a run shows while it goes: a bar with rate and time left on a terminal, plain lines
// otherwise, and warnings. Goes to stderr.
#pragma once

#include <chrono>

#include "altprop/train/trainer.h"

namespace altprop {

class Progress : public Observer {
 public:
  /// @param label in front of every line
  /// @param warnings_only nothing else is shown
  explicit Progress(std::string label, bool warnings_only = false);
  void on_start(const Trainer& trainer) override;
  void on_step(const Trainer& trainer) override;
  void on_epoch(Trainer& trainer, const nlohmann::json& record) override;
  void on_stop(Trainer& trainer, const std::string& status) override;

 private:
  void clear_bar();
  /// Warnings that have not been shown yet.
  void show_warnings(const Trainer& trainer);

  std::string label_;
  bool warnings_only_, terminal_;
  std::chrono::steady_clock::time_point start_, drawn_;
  int64_t first_step_ = 0;
  size_t warnings_shown_ = 0;
};

}  // namespace altprop
