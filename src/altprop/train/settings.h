// Everything that defines one training run. One declaration serves the command line, the TOML file and the listings.
#pragma once

#include <string>

#include "altprop/base/options.h"
#include "altprop/network/loss.h"
#include "altprop/ode/method.h"
#include "altprop/optim/optimizer_settings.h"
#include "altprop/optim/schedule.h"

namespace altprop {

struct RunSettings {
  std::string rule = "backprop";
  std::string net = "mlp:784-500-500-10:relu";
  std::string data = "glyphs";
  std::string direction = "accumulate";
  OptionValues rule_options, data_options, direction_options;
  std::string loss = "cross-entropy";
  SpikeLossSettings spikes;  ///< of losses of spike times
  double fire_at = 0;        ///< time at which the median unit of layers of spike times first fires; 0: as drawn
  std::string init = "xavier";
  std::vector<std::string> init_of;  ///< "pattern=factor": factors of initial values by parameter
  OptimizerSettings optimizer;
  Schedule schedule;
  int64_t epochs = 5, max_steps = 0, batch = 64, seed = 1, threads = 0;
  std::string device = "cpu", dtype = "float32";
  std::string ode_gradient = "symplectic";  ///< of the network's ODE blocks
  int64_t ode_checkpoints = 0, ode_graph_stages = 0;
  ode::AdjointSteps ode_adjoint;
  std::string ode_memory;  ///< "2GB": the fastest exact gradient that fits; "": as ode_gradient says
  bool device_graphs = true;
  int64_t crop = 0;
  std::string crop_fill = "zero";
  bool flip = false, shuffle = true, drop_last = false;
  int64_t prefetch = 0;
  int64_t early_stop = 0;
  std::string init_from;
  int64_t probe_every = 1, probe_batch = 256;
  int64_t checkpoint_steps = 0;
  OptionValues run;  ///< what tells this run from others (train/run_identity.h); "" until it has begun
  std::string preset;  ///< name of the one that these settings began with (train/presets.h), for the record

  std::string label;   ///< how tables name the run; empty: the rule
  std::string title, notes;  ///< whatever its owner wants to remember; shown with the records

  void declare(Options& options);
  /// What tables name the run.
  const std::string& name() const { return label.empty() ? rule : label; }
  /// Sentences about settings that are changed and do nothing beside the others.
  std::vector<std::string> without_effect() const;
  /// As a TOML document that `from_toml` reads back to the same settings. @throws UsageError for text that is no UTF-8
  std::string to_toml();
  /// The same with the rules and the seeds of several runs in front.
  std::string to_toml(const std::vector<std::string>& rules, const std::vector<int64_t>& seeds);
  /// Sets what the document names, leaves the rest. @param where for error sentences
  /// @param more gets what a document may name beside settings: `rules`, `seeds` (of several runs) and `out`; null:
  /// they are refused. @throws UsageError
  void from_toml(const std::string& document, const std::string& where, OptionValues* more = nullptr);
  nlohmann::json to_json();
};

}  // namespace altprop
