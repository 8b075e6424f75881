// Heun's method, the explicit trapezoidal rule (K. Heun 1900; error as in torchdiffeq's
// adaptive_heun).
#include "altprop/ode/tableau.h"

namespace altprop::ode {

namespace {

const RegisterTableau registered_heun{
    {.name = "heun",
     .summary = "Heun's method, the explicit trapezoidal rule",
     .source = "K. Heun 1900; error as in torchdiffeq's adaptive_heun",
     .order = 2,
     .a = {{{1}}},
     .b = {{1, 2}, {1, 2}},
     .b_hat = {{0}, {1}},
     .place = 2}};

}  // namespace

}  // namespace altprop::ode
