// When a linear relaxation may stop: not before credit has crossed every hop, however large the
// tolerance, and by a residual that does not depend on the step size.
#include "rules/relaxation/fixture.h"

namespace altprop::relaxation_stop {
namespace {

using namespace altprop::testing;

struct DeepNet {
  at::NoGradGuard no_grad;
  Graph net = mlp({6, 8, 7, 5, 6, 4}, "tanh", 1, at::kDouble);
  BatchOf batch = draw_batch({5, 6}, 4);
  Frozen frozen{net, batch.x, batch.y, "cross-entropy"};
  LinearRelaxation& relaxation = frozen.relaxation;
};

TEST(RelaxationStop, NotBeforeCreditHasArrivedHoweverLargeTheTolerance) {
  DeepNet d;
  ASSERT_EQ(d.relaxation.depth(), 4);
  for (const Order order : {Order::Synchronous, Order::GaussSeidel, Order::RedBlack})
    for (const int64_t least : {0, 3, 7}) {
      Field u = d.relaxation.start(d.frozen.pass.values(), true);
      const Relaxed done = d.relaxation.iterate(
          u, order, 0.5, {.steps = 100, .tolerance = 1e6, .least_steps = least});
      EXPECT_TRUE(done.converged);
      EXPECT_EQ(done.steps, std::max<int64_t>(4, least));
      for (size_t s = 0; s < u.size(); ++s)
        if (d.relaxation.hidden(static_cast<int>(s))) {
          EXPECT_GT(u[s].abs().max().item<double>(), 0) << "nothing has arrived at state " << s;
        }
    }
}

/// What is left of the equation u = N u + s, per state relative to the state: whatever part of it a
/// step takes.
TEST(RelaxationStop, TheResidualIsThatOfTheEquationWhateverTheStep) {
  for (const double eta : {0.02, 0.1, 0.5})
    for (const bool uneven : {false, true}) {
      DeepNet d;
      if (uneven) {
        std::vector<double> rates(d.frozen.pass.graph().states.size(), 0.5);
        rates[2] = 0.25;
        d.relaxation.set_rates(rates);
      }
      Field u = d.relaxation.start(d.frozen.pass.values(), false), left;
      RelaxWatch trace;
      trace.before_step = [&](int64_t) { left = d.relaxation.residual(u); };
      std::vector<double> expected;
      trace.after_step = [&](int64_t) {
        double worst = 0;
        for (size_t s = 0; s < u.size(); ++s)
          if (d.relaxation.hidden(static_cast<int>(s)))
            worst = std::max(worst, left[s].norm().item<double>() / u[s].norm().item<double>());
        expected.push_back(worst);
      };
      const Relaxed done = d.relaxation.iterate(u, Order::Synchronous, eta, {.steps = 12}, &trace);
      ASSERT_EQ(trace.residual.size(), 12u);
      for (size_t t = 0; t < 12; ++t)
        EXPECT_NEAR(trace.residual[t] / expected[t], 1, 1e-9) << "eta " << eta << " step " << t;
      EXPECT_EQ(done.residual, trace.residual.back());
    }
}

/// So a small step does not look like rest: at the stop the field is as near to its end as the
/// tolerance says, for every step size.
TEST(RelaxationStop, SmallStepsAreNotRest) {
  for (const double eta : {0.02, 0.1, 0.5}) {
    DeepNet d;
    Field u = d.relaxation.start(d.frozen.pass.values(), true);
    const Relaxed done =
        d.relaxation.iterate(u, Order::GaussSeidel, eta, {.steps = 100000, .tolerance = 1e-3});
    EXPECT_TRUE(done.converged);
    EXPECT_LT(d.frozen.distance(u, d.relaxation.fixed_point()), 1e-2) << eta;
  }
}

}  // namespace
}  // namespace altprop::relaxation_stop
