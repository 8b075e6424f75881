// Backpropagation: exact gradients, the reference of every other rule.
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

struct Backprop : Rule {
  void assign(Step& step, Sink& sink) override { reference(step, sink); }
  bool allows_in_place() const override { return true; }
};

const RegisterRule registered_backprop{{.name = "backprop",
                               .aliases = {"bp"},
                               .summary = "exact gradients through the transposed forward weights",
                               .assumes = "weight transport",
                               .source = "Rumelhart, Hinton, Williams 1986",
                               .example_net = "mlp:784-100-10:relu",
                               .make = [] { return std::make_unique<Backprop>(); },
                               .order = 0}};

}  // namespace

}  // namespace altprop
