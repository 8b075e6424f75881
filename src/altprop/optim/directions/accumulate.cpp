// Plain accumulation: the gradient is the sum of the signals. There is nothing to do between the
// signals and the step, so there is no object either, and updates may be made in place.
#include "altprop/optim/direction.h"

namespace altprop {

namespace {

const RegisterDirection registered_accumulate{
    {.name = "accumulate",
     .summary = "signals are summed to gradients, which the optimizer steps along",
     .source = "",
     .make = [] { return nullptr; },
     .order = 10}};

}  // namespace

}  // namespace altprop
