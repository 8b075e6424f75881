// Explicit midpoint rule (C. Runge 1895).
#include "altprop/ode/tableau.h"

namespace altprop::ode {

namespace {

const RegisterTableau registered_midpoint{{.name = "midpoint",
                                           .summary = "explicit midpoint rule",
                                           .source = "C. Runge 1895",
                                           .order = 2,
                                           .a = {{{1, 2}}},
                                           .b = {{0}, {1}},
                                           .place = 1}};

}  // namespace

}  // namespace altprop::ode
