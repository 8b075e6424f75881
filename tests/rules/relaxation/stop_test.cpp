// When a relaxation may stop, of credits or of values: not before credit has crossed every hop,
// however large the tolerance, and by a residual that does not depend on the step size.
#include "altprop/rules/relaxation/value_relaxation.h"
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

/// What every step of the moving values ends with, for the settings of a rule.
std::map<std::string, Tensor> strict(DeepNet& d, OptionValues values) {
  values.insert({{"pc.mode", "strict"}, {"pc.eta", "0.1"}});
  const auto loss = make_loss("cross-entropy");
  const auto rule = bound(kPc, values, d.net, *loss);
  return gradients(*rule, d.net, *loss, d.batch.x, d.batch.y);
}

double apart(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  double worst = 0;
  for (const auto& [name, gradient] : b)
    worst = std::max(worst, testing::distance(a.at(name), gradient));
  return worst;
}

TEST(RelaxationStop, MovingValuesNotBeforeCreditHasArrivedHoweverLargeTheTolerance) {
  DeepNet d;
  for (const OptionValues& values :
       {OptionValues{}, OptionValues{{"pc.schedule", "gauss-seidel"}},
        OptionValues{{"pc.schedule", "red-black"}}, OptionValues{{"pc.momentum", "0.5"}},
        OptionValues{{"pc.integrator", "heun"}}}) {
    const auto with = [&](const OptionValues& more) {
      OptionValues all = values;
      all.insert(more.begin(), more.end());
      return strict(d, all);
    };
    const auto found = with({{"pc.tolerance", "1e6"}, {"pc.steps", "50"}});
    EXPECT_GT(found.at("fc1.weight").abs().max().item<double>(), 0);
    EXPECT_LT(apart(found, with({{"pc.steps", "4"}})), 1e-11) << "as many as there are hops";
    for (const char* other : {"3", "5"}) EXPECT_GT(apart(found, with({{"pc.steps", other}})), 1e-3);
  }
}

TEST(RelaxationStop, MovingValuesAreMeasuredByTheForceWhateverTheStep) {
  for (const double eta : {0.02, 0.1, 0.5})
    for (const double momentum : {0.0, 0.5}) {
      DeepNet d;
      ValueRelaxation moving(d.frozen.pass);
      const Tensor output = d.net.predict(d.batch.x);
      moving.begin(output, {*d.frozen.loss, d.batch.y, 5}, {});
      for (int t = 0; t < 6; ++t) {
        moving.refresh();
        const double force = moving.largest_force();
        EXPECT_GT(force, 1e-4);
        EXPECT_NEAR(moving.descend(Order::Synchronous, eta, momentum, true) / force, 1, 1e-9)
            << "eta " << eta << " step " << t;
      }
      // In another order each state is measured when its turn comes: the same where none moves.
      moving.refresh();
      const double force = moving.largest_force();
      for (const Order order : {Order::GaussSeidel, Order::RedBlack})
        EXPECT_NEAR(moving.descend(order, 1e-9, 0, true) / force, 1, 1e-6);
      EXPECT_EQ(moving.descend(Order::Synchronous, eta, 0, false), 0) << "nobody asked";
    }
}

/// At the stop the credits are as near to their end as the tolerance says, for every step size.
TEST(RelaxationStop, SmallStepsOfMovingValuesAreNotRest) {
  DeepNet d;
  const auto until = [&](const char* tolerance, const char* eta) {
    return strict(d, {{"pc.tolerance", tolerance}, {"pc.eta", eta}, {"pc.steps", "20000"}});
  };
  const auto rest = until("1e-9", "0.3");
  for (const char* eta : {"0.02", "0.1", "0.3"}) {
    const double left = apart(until("1e-3", eta), rest);
    EXPECT_LT(left, 0.05) << eta;
    EXPECT_GT(left, 1e-6) << "it has stopped early, eta " << eta;
  }
}

/// The engine itself, with an update that halves every state but the first, which is held.
TEST(RelaxationStop, TheEngineStopsWhenItIsTold) {
  DeepNet d;
  const StateGraph& graph = d.frozen.pass.graph();
  const auto halve = [](int state, const Field& field) {
    return state == 0 ? Tensor() : field[static_cast<size_t>(state)] / 2;
  };
  const auto run = [&](Order order, const Stop& stop, double begin = 1) {
    Field field(graph.states.size());
    for (Tensor& t : field) t = at::full({2, 2}, begin, at::kDouble);
    const Relaxed done = relax(graph, field, order, stop, halve);
    EXPECT_TRUE(at::equal(field[0], at::full({2, 2}, begin, at::kDouble)) || begin != begin);
    if (begin == 1) {
      EXPECT_EQ(field[1][0][0].item<double>(), std::pow(0.5, double(done.steps)));
    }
    return done;
  };
  for (const Order order : {Order::Synchronous, Order::GaussSeidel, Order::RedBlack}) {
    for (const int64_t least : {0, 1, 3, 7}) {
      const Relaxed done = run(order, {.steps = 20, .tolerance = 1e6, .least_steps = least});
      EXPECT_EQ(done.steps, std::max<int64_t>(1, least));
      EXPECT_TRUE(done.converged);
    }
    // Each has moved by its norm n, which halves from 1 on: n / (1 + n) < 1/10 from n < 1/9 on.
    const Relaxed done = run(order, {.steps = 20, .tolerance = 0.1});
    EXPECT_EQ(done.steps, 5);
    EXPECT_NEAR(done.residual, (1.0 / 16) / (1 + 1.0 / 16), 1e-12);
    EXPECT_TRUE(done.converged);
    EXPECT_EQ(run(order, {.steps = 4, .tolerance = 0.1}).converged, false);
    EXPECT_EQ(run(order, {.steps = 20}).steps, 20) << "without a tolerance never early";
    EXPECT_EQ(run(order, {.steps = 20, .tolerance = 1e6}, NAN).steps, 20) << "NaN is no rest";
  }
}

}  // namespace
}  // namespace altprop::relaxation_stop
