// Nesterov's momentum:  m <- momentum m + g;  w <- w - lr (g + momentum m). I. Sutskever, J.
// Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep learning",
// 2013, in the form of torch.optim.SGD.
#include "altprop/optim/optimizers/momentum.h"

namespace altprop {

namespace {

struct Nesterov : WithMomentum {
  bool looks_ahead() const override { return true; }
};

const RegisterOptimizer registered_nesterov{
    {.name = "nesterov",
     .update = "m <- momentum m + g; w <- w - lr (g + momentum m) (Sutskever et al. 2013)",
     .optimizer = std::make_shared<Nesterov>(),
     .uses = std::vector<std::string>{"momentum"},
     .order = 30}};

}  // namespace

}  // namespace altprop
