// Nesterov's momentum:  m <- momentum m + g;  w <- w - lr (g + momentum m). I. Sutskever, J.
// Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep learning",
// 2013, in the form of torch.optim.SGD.
#include "altprop/optim/optimizer.h"

namespace altprop {

namespace {

struct Nesterov : Optimizer {
  bool linear() const override { return true; }
  bool looks_ahead() const override { return true; }
  double momentum(const OptimizerSettings& s) const override { return s.momentum; }
  std::vector<StateTensor> state(const OptimizerSettings& s) const override {
    if (s.momentum > 0) return {{"first"}};
    return {};
  }
  void step(StepTensors t, const OptimizerSettings& s, StepNumbers n) const override {
    at::_fused_sgd_(t.values, t.gradients, s.momentum > 0 ? t.state[0] : std::vector<Tensor>{},
                    n.decay, s.momentum, n.lr, 0, true, false, n.first);
  }
};

const RegisterOptimizer registered_nesterov{
    {.name = "nesterov",
     .update = "m <- momentum m + g; w <- w - lr (g + momentum m) (Sutskever et al. 2013)",
     .optimizer = std::make_shared<Nesterov>(),
     .order = 30}};

}  // namespace

}  // namespace altprop
