// Adam: averages of g and g^2, corrected for their start at zero;  w <- w - lr m' / (sqrt(v') +
// eps). D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", 2015, arXiv 1412.6980,
// algorithm 1. Decay is added to the gradient.
#include "altprop/optim/optimizer.h"

namespace altprop {

namespace {

struct Adam : Optimizer {
  std::vector<StateTensor> state(const OptimizerSettings&) const override {
    return {{"first"}, {"second"}, {"steps", true}};
  }
  void step(StepTensors t, const OptimizerSettings& s, StepNumbers n) const override {
    for (Tensor& count : t.state[2]) count.add_(1);
    at::_fused_adam_(t.values, t.gradients, t.state[0], t.state[1], {}, t.state[2], n.lr, s.beta1,
                     s.beta2, n.decay, s.eps, false, false);
  }
};

const RegisterOptimizer registered_adam{
    {.name = "adam",
     .update = "averages of g and g^2, corrected for their start (Kingma & Ba, arXiv 1412.6980)",
     .optimizer = std::make_shared<Adam>(),
     .uses = std::vector<std::string>{"beta1", "beta2", "eps"},
     .order = 40}};

}  // namespace

}  // namespace altprop
