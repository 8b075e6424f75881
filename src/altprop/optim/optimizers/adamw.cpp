// AdamW: Adam on the gradient without decay;  w <- (1 - lr decay) w  before its step. I.
// Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", 2019, arXiv 1711.05101, algorithm
// 2, with the decay multiplied by the rate as in torch.optim.AdamW.
#include "altprop/optim/optimizer.h"

namespace altprop {

namespace {

struct AdamW : Optimizer {
  bool decays_apart() const override { return true; }
  std::vector<StateTensor> state(const OptimizerSettings&) const override {
    return {{"first"}, {"second"}, {"steps", true}};
  }
  void step(StepTensors t, const OptimizerSettings& s, StepNumbers n) const override {
    for (Tensor& count : t.state[2]) count.add_(1);
    at::_fused_adamw_(t.values, t.gradients, t.state[0], t.state[1], {}, t.state[2], n.lr, s.beta1,
                      s.beta2, n.decay, s.eps, false, false);
  }
};

const RegisterOptimizer registered_adamw{
    {.name = "adamw",
     .update = "adam with decay apart from the gradient (Loshchilov & Hutter, arXiv 1711.05101)",
     .optimizer = std::make_shared<AdamW>(),
     .uses = std::vector<std::string>{"beta1", "beta2", "eps"},
     .order = 50}};

}  // namespace

}  // namespace altprop
