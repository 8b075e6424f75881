// Euler's method (L. Euler 1768).
#include "altprop/ode/tableau.h"

namespace altprop::ode {

namespace {

const RegisterTableau registered_euler{{.name = "euler",
                                        .summary = "Euler's method",
                                        .source = "L. Euler 1768",
                                        .order = 1,
                                        .a = {},
                                        .b = {{1}},
                                        .place = 0}};

}  // namespace

}  // namespace altprop::ode
