// One run from its settings: data, network, rule, optimizer, put together the same way for the
// command line, for C++ and for resuming.
#pragma once

#include <filesystem>
#include <memory>

#include "altprop/network/architecture.h"
#include "altprop/train/trainer.h"

namespace altprop {

/// Everything a run consists of. Building it draws the weights but trains nothing.
class Experiment {
 public:
  /// @throws UsageError or Refusal if the settings do not fit together, Error if data cannot be
  /// read
  explicit Experiment(RunSettings settings);
  /// The same with data that are loaded already, so that several runs can share them.
  Experiment(RunSettings settings, std::shared_ptr<const data::Splits> data);
  Experiment(const Experiment&) = delete;

  RunSettings& settings() { return settings_; }
  Graph& net() { return net_; }
  const Loss& loss() const { return *loss_; }
  Learner& rule() { return *rule_; }
  const data::Splits& data() const { return *data_; }
  /// For other experiments on the same.
  const std::shared_ptr<const data::Splits>& shared_data() const { return data_; }
  Trainer& trainer() { return *trainer_; }
  int64_t parameters() const;
  /// Which gradient of ODE blocks `ode.memory` has led to, in a sentence; "" if it was not asked.
  const std::string& ode_choice() const { return ode_choice_; }

 private:
  /// Takes the gradient that ode.memory asks for, and warns of blocks that will disappoint.
  void look_at_ode_blocks();
  /// Moves the weights of layers of spike times as spike.fire-at says.
  void let_units_fire();

  RunSettings settings_;
  std::shared_ptr<const data::Splits> data_;
  Graph net_;
  std::unique_ptr<Loss> loss_;
  std::unique_ptr<Learner> rule_;
  std::unique_ptr<Trainer> trainer_;
  std::string ode_choice_;
};

std::shared_ptr<const data::Splits> load_data(const RunSettings& settings);

/// What a network's text may leave out and is checked against.
InputInfo facts_for_network(const data::Splits& data);

/// The network of the settings for these data, weights drawn, on the settings' device and in their
/// number format.
Graph build_network(const RunSettings& settings, const data::Splits& data);

/// Splits "kp[kp.form=implicit,lr=0.1]" in settings.rule into the rule's long name, its options,
/// overrides of the other settings and options of a direction.
void expand_rule(RunSettings& settings);

/// Sets the number of threads; checks the device. @throws UsageError if there is no such device
void use_machine(const RunSettings& settings);

}  // namespace altprop
