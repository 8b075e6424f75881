// Backpropagation: exact gradients, the reference of every other rule.
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

struct Backprop : Rule {
  void admit(const Graph& net, const Loss&) const override { require_parameters(net); }
  bool has_input_credit() const override { return true; }
  bool allows_in_place() const override { return true; }

 protected:
  Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override {
    Feedback exact;
    return sweep_back(trace, objective, wanted, exact, sink);
  }
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
