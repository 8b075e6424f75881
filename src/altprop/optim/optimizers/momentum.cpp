// Momentum:  m <- momentum m + g;  w <- w - lr m. B. Polyak, "Some methods of speeding up the
// convergence of iteration methods", 1964; the average is not dampened, as in torch.optim.SGD.
#include "altprop/optim/optimizers/momentum.h"

namespace altprop {

namespace {

struct Momentum : WithMomentum {
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
     .uses = std::vector<std::string>{"momentum"},
     .order = 20}};

}  // namespace

}  // namespace altprop
