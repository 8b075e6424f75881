// Plain descent:  w <- w - lr g.
#include "altprop/optim/optimizer.h"

namespace altprop {

namespace {

struct Sgd : Optimizer {
  bool linear() const override { return true; }
  Target takes_signals(const OptimizerSettings&) const override { return Target::Value; }
  void step(StepTensors t, const OptimizerSettings&, StepNumbers n) const override {
    // With no averages the kernel does plain descent.
    at::_fused_sgd_(t.values, t.gradients, {}, n.decay, 0, n.lr, 0, false, false, n.first);
  }
};

const RegisterOptimizer registered_sgd{{.name = "sgd",
                                        .update = "w <- w - lr g",
                                        .optimizer = std::make_shared<Sgd>(),
                                        .uses = std::vector<std::string>(),
                                        .order = 10}};

}  // namespace

}  // namespace altprop
