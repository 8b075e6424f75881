// Momentum:  m <- momentum m + g;  w <- w - lr m. B. Polyak, "Some methods of speeding up the
// convergence of iteration methods", 1964; the average is not dampened, as in torch.optim.SGD.
#include "altprop/optim/optimizer.h"

namespace altprop {

namespace {

struct Momentum : Optimizer {
  bool linear() const override { return true; }
  double momentum(const OptimizerSettings& s) const override { return s.momentum; }
  std::vector<StateTensor> state(const OptimizerSettings& s) const override {
    if (s.momentum > 0) return {{"first"}};
    return {};
  }
  void step(StepTensors t, const OptimizerSettings& s, StepNumbers n) const override {
    // With no averages the kernel does plain descent.
    at::_fused_sgd_(t.values, t.gradients, s.momentum > 0 ? t.state[0] : std::vector<Tensor>{},
                    n.decay, s.momentum, n.lr, 0, false, false, n.first);
  }
  Target takes_signals(const OptimizerSettings& s) const override {
    return s.momentum > 0 ? Target::Average : Target::Gradient;
  }
  void step_from_average(Tensor& value, Tensor& average, StepNumbers n) const override {
    if (n.decay > 0) average.add_(value, n.decay);
    value.add_(average, -n.lr);
  }
};

const RegisterOptimizer registered_momentum{
    {.name = "momentum",
     .update = "m <- momentum m + g; w <- w - lr m (Polyak 1964)",
     .optimizer = std::make_shared<Momentum>(),
     .order = 20}};

}  // namespace

}  // namespace altprop
