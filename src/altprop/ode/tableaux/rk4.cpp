// The classical method of order 4 (M. Kutta 1901).
#include "altprop/ode/tableau.h"

namespace altprop::ode {

namespace {

const RegisterTableau registered_rk4{{.name = "rk4",
                                      .summary = "the classical method of order 4",
                                      .source = "M. Kutta 1901",
                                      .order = 4,
                                      .a = {{{1, 2}}, {{0}, {1, 2}}, {{0}, {0}, {1}}},
                                      .b = {{1, 6}, {1, 3}, {1, 3}, {1, 6}},
                                      .place = 5}};

}  // namespace

}  // namespace altprop::ode
