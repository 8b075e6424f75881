// Fehlberg's pair of orders 2 and 1 (E. Fehlberg 1969, NASA TR R-315).
#include "altprop/ode/tableau.h"

namespace altprop::ode {

namespace {

const RegisterTableau registered_fehlberg2{{.name = "fehlberg2",
                                            .summary = "Fehlberg's pair of orders 2 and 1",
                                            .source = "E. Fehlberg 1969, NASA TR R-315",
                                            .order = 2,
                                            .a = {{{1, 2}}, {{1, 256}, {255, 256}}},
                                            .b = {{1, 512}, {255, 256}, {1, 512}},
                                            .b_hat = {{1, 256}, {255, 256}, {0}},
                                            .place = 3}};

}  // namespace

}  // namespace altprop::ode
