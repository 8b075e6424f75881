// An optimizer of PyTorch's, as rules see it: what is known of its settings, and what its last step
// was. It steps by itself; nothing is sent to it.
#pragma once

#include <torch/csrc/utils/pybind.h>

#include "altprop/optim/updater.h"

namespace altprop::python {

/// Settings of a dict that python/altprop/attached.py makes: kind, lr, momentum, weight_decay,
/// beta1, beta2, eps. A kind that the library has not means that no law is known of its steps.
OptimizerSettings optimizer_settings(const pybind11::dict& known);

class ForeignUpdater : public Updater {
 public:
  /// It has taken a step with these settings.
  void stepped(OptimizerSettings settings);

  void bind(const std::vector<ParamPtr>&) override {}
  /// @throws Error: signals go into gradients of the caller's
  void take(const LocalSignal&) override { refuse_signals(); }
  void take(const ParamSignal&) override { refuse_signals(); }
  void apply(const std::string& group = "weights") override;
  void set_progress(int64_t, double, int64_t, int64_t) override {}

  const OptimizerSettings& settings(const std::string& = "weights") const override {
    return settings_;
  }
  const StepFacts& facts(const std::string& = "weights") const override { return facts_; }
  int64_t steps(const std::string& = "weights") const override { return steps_; }
  const Slot* slot(const Param&) const override { return nullptr; }
  void state(StateIO io) override { io.integer("steps", steps_); }

 private:
  [[noreturn]] static void refuse_signals();

  OptimizerSettings settings_;
  StepFacts facts_;
  int64_t steps_ = 0;
};

}  // namespace altprop::python
