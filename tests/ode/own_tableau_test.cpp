// A method that the library does not have, as a user registers it. From here on it is one of
// `tableau_names()`, so that every test that goes through these goes through it: conditions of
// order, convergence, exact gradients, dense output, reversible steps.
#include <ATen/core/grad_mode.h>

#include "altprop/network/architecture.h"
#include "altprop/network/describe.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

const RegisterTableau registered_ralston{{.name = "ralston",
                                          .summary = "the method of second order with the smallest "
                                                     "bound on its error",
                                          .source = "A. Ralston 1962",
                                          .order = 2,
                                          .a = {{{2, 3}}},
                                          .b = {{1, 4}, {3, 4}},
                                          .b_hat = {{1}, {0}},
                                          .place = 100}};

TEST(OwnTableau, IsASolverByItsName) {
  const std::vector<std::string> names = tableau_names();
  EXPECT_EQ(names.back(), "ralston");
  EXPECT_EQ(tableau("ralston").c(1), 2.0 / 3);
  at::NoGradGuard no_grad;
  Graph net = network("chain: ode{linear 6, tanh} solver=ralston rtol=1e-4, linear *",
                      {.input_shape = {6}, .classes = 3});
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  EXPECT_EQ(dynamic_cast<const Block&>(*net.nodes()[1].op).solver().name(), "ralston");
  EXPECT_TRUE(net.predict(Stream(1).normal({4, 6})).isfinite().all().item<bool>());
}

/// z' = z^2 from 1, one step of 1/2 by hand: k1 = 1, k2 = (4/3)^2, z = 1 + (k1 + 3 k2) / 8.
TEST(OwnTableau, StepsAsItIsWritten) {
  const Field square = testing::plain([](double, const Tensor& z) { return z.square(); });
  const Tensor end =
      take_step(tableau("ralston"), square, 0, 0.5, at::ones({1, 1}, at::kDouble), nullptr, false)
          .end;
  EXPECT_NEAR(end.item<double>(), 1 + (1 + 3 * 16.0 / 9) / 8, 1e-15);
}

}  // namespace
}  // namespace altprop::ode
