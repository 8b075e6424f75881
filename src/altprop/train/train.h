// Training in one call, for programs that bring their own network, rule or data.
#pragma once

#include <string>
#include <vector>

#include "altprop/train/trainer.h"

namespace altprop {

struct TrainOptions {
  int64_t epochs = 5, batch = 64, seed = 1;
  double lr = 0.01;
  std::string optimizer = "momentum";
  double momentum = 0.9, weight_decay = 0;
  std::string loss = "cross-entropy";
  bool progress = true;  ///< lines (or a bar) on stderr
};

struct TrainResult {
  Scores test;  ///< of the trained network: test.loss(), test.accuracy(), ...
  std::vector<nlohmann::json> epochs;  ///< a record per epoch: losses, accuracies, gradient angles
  /// Sentences about settings that will disappoint and about what went wrong while training; with
  /// `progress` they are shown, too.
  std::vector<std::string> warnings;
};

/// Trains `net` in place, on the device and in the number format of its parameters.
/// @throws Refusal if rule, network and loss do not go together; Diverged
TrainResult train(Graph& net, Learner& rule, const data::Splits& data,
                  const TrainOptions& options = {});

}  // namespace altprop
