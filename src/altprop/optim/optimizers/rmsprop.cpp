// RMSprop:  v <- rho v + (1 - rho) g^2;  w <- w - lr g / (sqrt(v) + eps). T. Tieleman, G. Hinton,
// Coursera lecture 6.5, 2012; eps stands outside of the root, as in torch.optim.RMSprop.
#include "altprop/optim/optimizer.h"

namespace altprop {

namespace {

struct RmsProp : Optimizer {
  std::vector<StateTensor> state(const OptimizerSettings&) const override { return {{"second"}}; }
  void step(StepTensors t, const OptimizerSettings& s, StepNumbers n) const override {
    for (size_t i = 0; i < t.values.size(); ++i) {
      Tensor &value = t.values[i], &square = t.state[0][i];
      const Tensor g = n.decay > 0 ? t.gradients[i] + value * n.decay : t.gradients[i];
      square.mul_(s.rms_decay).addcmul_(g, g, 1 - s.rms_decay);
      value.addcdiv_(g, square.sqrt().add_(s.eps), -n.lr);
    }
  }
};

const RegisterOptimizer registered_rmsprop{
    {.name = "rmsprop",
     .update = "g over the root of an average of g^2 (Tieleman & Hinton 2012)",
     .optimizer = std::make_shared<RmsProp>(),
     .uses = std::vector<std::string>{"rms-decay", "eps"},
     .order = 60}};

}  // namespace

}  // namespace altprop
