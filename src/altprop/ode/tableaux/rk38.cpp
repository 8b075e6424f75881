// Kutta's 3/8 rule; what torchdiffeq calls rk4 (M. Kutta 1901).
#include "altprop/ode/tableau.h"

namespace altprop::ode {

namespace {

const RegisterTableau registered_rk38{{.name = "rk38",
                                       .summary = "Kutta's 3/8 rule; what torchdiffeq calls rk4",
                                       .source = "M. Kutta 1901",
                                       .order = 4,
                                       .a = {{{1, 3}}, {{-1, 3}, {1}}, {{1}, {-1}, {1}}},
                                       .b = {{1, 8}, {3, 8}, {3, 8}, {1, 8}},
                                       .place = 6}};

}  // namespace

}  // namespace altprop::ode
