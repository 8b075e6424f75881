// Pair of orders 3 and 2 of Bogacki and Shampine (P. Bogacki, L. Shampine 1989, Appl. Math. Lett.
// 2(4)).
#include "altprop/ode/tableau.h"

namespace altprop::ode {

namespace {

const RegisterTableau registered_bosh3{
    {.name = "bosh3",
     .summary = "pair of orders 3 and 2 of Bogacki and Shampine",
     .source = "P. Bogacki, L. Shampine 1989, Appl. Math. Lett. 2(4)",
     .order = 3,
     .a = {{{1, 2}}, {{0}, {3, 4}}, {{2, 9}, {1, 3}, {4, 9}}},
     .b = {{2, 9}, {1, 3}, {4, 9}, {0}},
     .b_hat = {{7, 24}, {1, 4}, {1, 3}, {1, 8}},
     .place = 4}};

}  // namespace

}  // namespace altprop::ode
