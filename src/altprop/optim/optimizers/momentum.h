// What momentum and Nesterov's momentum share: one average, and a kernel that knows both forms.
#pragma once

#include "altprop/optim/optimizer.h"

namespace altprop {

struct WithMomentum : Optimizer {
  bool linear() const override { return true; }
  double momentum(const OptimizerSettings& s) const override { return s.momentum; }
  std::vector<StateTensor> state(const OptimizerSettings& s) const override {
    if (s.momentum > 0) return {{"first"}};
    return {};
  }
  void step(StepTensors t, const OptimizerSettings& s, StepNumbers n) const override {
    // With no averages the kernel does plain descent.
    at::_fused_sgd_(t.values, t.gradients, s.momentum > 0 ? t.state[0] : std::vector<Tensor>{},
                    n.decay, s.momentum, n.lr, 0, looks_ahead(), false, n.first);
  }
};

}  // namespace altprop
