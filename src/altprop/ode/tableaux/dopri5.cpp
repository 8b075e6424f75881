// Pair of orders 5 and 4 of Dormand and Prince (J. Dormand, P. Prince 1980, J. Comput. Appl. Math.
// 6(1); error weights of L. Shampine 1986, Math. Comp. 46).
#include "altprop/ode/tableau.h"

namespace altprop::ode {

namespace {

const RegisterTableau registered_dopri5{
    {.name = "dopri5",
     .summary = "pair of orders 5 and 4 of Dormand and Prince",
     .source = "J. Dormand, P. Prince 1980, J. Comput. Appl. Math. 6(1); error weights of L. "
               "Shampine 1986, Math. Comp. 46",
     .order = 5,
     .a = {{{1, 5}},
           {{3, 40}, {9, 40}},
           {{44, 45}, {-56, 15}, {32, 9}},
           {{19372, 6561}, {-25360, 2187}, {64448, 6561}, {-212, 729}},
           {{9017, 3168}, {-355, 33}, {46732, 5247}, {49, 176}, {-5103, 18656}},
           {{35, 384}, {0}, {500, 1113}, {125, 192}, {-2187, 6784}, {11, 84}}},
     .b = {{35, 384}, {0}, {500, 1113}, {125, 192}, {-2187, 6784}, {11, 84}, {0}},
     .b_hat =
         {{1951, 21600}, {0}, {22642, 50085}, {451, 720}, {-12231, 42400}, {649, 6300}, {1, 60}},
     .place = 7,
     .middle = {{6025192743, 60171106304},
                {0},
                {51252292925, 130801643196},
                {-2691868925, 90256659456},
                {187940372067, 3189068634112},
                {-1776094331, 39487288512},
                {11237099, 470086768}}}};

}  // namespace

}  // namespace altprop::ode
