// The options of predictive coding, and which of them go together.
#pragma once

#include "altprop/base/options.h"
#include "altprop/network/loss.h"
#include "altprop/rules/learner.h"
#include "altprop/rules/relaxation/relax.h"

namespace altprop {

struct PredictiveCodingOptions {
  std::string mode = "fixed", schedule = "synchronous", values = "post", engine = "auto",
              nudging = "positive", output = "loss", integrator = "euler";
  std::vector<std::string> precision_texts;
  double eta = 0.1, momentum = 0, tolerance = 0, beta = 1, time = 20, step_error = 1e-3;
  bool level = false;
  int64_t steps = 0, ipc_warmup = 0, ipc_interval = 1, most_steps = 100'000;

  void declare(Options& options);
  /// Predictions and Jacobians stay as the forward pass left them.
  bool linear() const { return mode == "fixed" || mode == "exact"; }
  int64_t number_of_steps() const;
  Order order() const;
  /// Weights of the loss in the energies that are relaxed one after the other.
  std::vector<double> betas() const;
  /// Precisions that differ between states. @throws UsageError
  bool uneven() const;
  /// Step size of the linear relaxation, of which precisions that are all alike are a part.
  double rate() const;
  /// One per state, 1 where no error is; empty if all are 1. @throws UsageError
  std::vector<double> precisions(const StateGraph& graph) const;
  std::vector<Unread> unread() const;
  /// @throws Refusal
  void refuse_what_has_no_effect(const Loss& loss) const;
  /// That all paths from a state to the output have as many hops, which mode zil needs. @throws
  /// Refusal
  static void require_levels(const StateGraph& graph);

 private:
  std::vector<double> given_precisions() const;
};

}  // namespace altprop
