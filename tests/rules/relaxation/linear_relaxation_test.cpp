// The linear relaxation against its closed forms and against backprop, in float64.
#include "altprop/network/architecture.h"
#include "rules/relaxation/fixture.h"

namespace altprop::testing {
namespace {

const double kTight = 1e-12;

struct SettledCase {
  std::string name;
  std::function<Graph()> net;
  std::vector<int64_t> shape;
  int64_t classes;
};

const std::vector<SettledCase>& settled_cases() {
  static const std::vector<SettledCase> all = {
      {"mlp",
       [] {
         return mlp({6, 8, 7, 5, 4}, "tanh", 1, at::kDouble);
       },
       {5, 6},
       4},
      {"conv", [] { return conv_net(); }, {3, 3, 9, 9}, 5},
      {"tied", [] { return tied_net(); }, {5, 4}, 3},
      {"skip", [] { return skip_net(); }, {5, 4}, 3},
      {"pools-and-masks",
       [] {
         Graph net = network(
             "chain: conv 4 k=3 p=1, batch-norm, relu, maxpool 2, conv 5 k=3, relu, avgpool 2, "
             "dropout 0.3, linear 6, tanh, linear *",
             {.input_shape = {2, 10, 10}, .classes = 4});
         net.to(at::kCPU, at::kDouble);
         initialise(net, Initialiser("xavier"), Stream(1).at("init"));
         return net;
       },
       {4, 2, 10, 10},
       4},
  };
  return all;
}

class EveryNet : public ::testing::TestWithParam<std::tuple<size_t, Cut>> {
 protected:
  const SettledCase& one() const { return settled_cases()[std::get<0>(GetParam())]; }
  Cut cut() const { return std::get<1>(GetParam()); }
  BatchOf batch() const { return draw_batch(one().shape, one().classes); }
};

TEST_P(EveryNet, FixedPointIsBackprop) {
  at::NoGradGuard no_grad;
  Graph net = one().net();
  const BatchOf b = batch();
  Frozen f(net, b.x, b.y, "cross-entropy", cut());
  const Field g = f.relaxation.fixed_point();
  // Backprop's credits, by an independent way: the whole network's sweep.
  Activity activity;
  const Tensor out = net.run(b.x, activity, {Mode::Train, Stream(7)});
  struct Recorder : Feedback {
    std::map<std::string, Tensor> credit;
    Tensor arrive(const Site& site, Tensor cot) override {
      if (cot.defined()) credit[site.name()] = cot.clone();
      return cot;
    }
  } exact;
  Gradients sink;
  net.sweep(activity, {{net.output_node(), f.loss->gradient(out, b.y)}}, exact, &sink);
  int compared = 0;
  for (size_t s = 0; s < g.size(); ++s) {
    if (!f.relaxation.hidden(static_cast<int>(s))) continue;
    const std::string& name = f.pass.graph().states[s].name;
    EXPECT_LT(distance(g[s], exact.credit.at(name)), kTight) << name;
    ++compared;
  }
  EXPECT_GE(compared, 2);
  double largest = 0;
  for (const Tensor& residual : f.relaxation.residual(g))
    if (residual.defined()) largest = std::max(largest, residual.abs().max().item<double>());
  EXPECT_LT(largest, kTight);
}

TEST_P(EveryNet, UnitStepsAreExactFromAnyStart) {
  at::NoGradGuard no_grad;
  Graph net = one().net();
  const BatchOf b = batch();
  Frozen f(net, b.x, b.y, "cross-entropy", cut());
  const Field g = f.relaxation.fixed_point();
  for (const bool zero : {true, false}) {
    Field u = f.relaxation.start(f.pass.values(), zero);
    f.relaxation.iterate(u, Order::GaussSeidel, 1, {.steps = 1});
    EXPECT_LT(f.distance(u, g), kTight);
    u = f.relaxation.start(f.pass.values(), zero);
    f.relaxation.iterate(u, Order::Synchronous, 1, {.steps = f.relaxation.depth()});
    EXPECT_LT(f.distance(u, g), kTight);
    u = f.relaxation.start(f.pass.values(), zero);
    f.relaxation.iterate(u, Order::Synchronous, 1, {.steps = f.relaxation.depth() - 1});
    EXPECT_GT(f.distance(u, g), 1e-3) << "one step less is not enough";
  }
}

TEST_P(EveryNet, FastForwardIsTheLoop) {
  at::NoGradGuard no_grad;
  Graph net = one().net();
  const BatchOf b = batch();
  Frozen f(net, b.x, b.y, "cross-entropy", cut());
  for (const Order order : {Order::Synchronous, Order::GaussSeidel})
    for (const double eta : {0.1, 0.7, 1.0, 1.3})
      for (const int64_t steps : {1, 3, 12, 100})
        for (const bool zero : {true, false}) {
          const Field start = f.relaxation.start(f.pass.values(), zero);
          Field u = f.relaxation.start(f.pass.values(), zero);
          f.relaxation.iterate(u, order, eta, {.steps = steps});
          const Field jump = f.relaxation.fast_forward(zero ? nullptr : &start, order, eta, steps);
          for (size_t s = 0; s < u.size(); ++s)
            if (f.relaxation.hidden(static_cast<int>(s))) {
              const Tensor there = jump[s].defined() ? jump[s] : at::zeros_like(u[s]);
              EXPECT_TRUE(at::allclose(u[s], there, 1e-9, 1e-11 * u[s].norm().item<double>()))
                  << f.pass.graph().states[s].name << " eta " << eta << " steps " << steps;
            }
        }
}

TEST_P(EveryNet, StopsByTheResidualAndNotBeforeCreditHasArrived) {
  at::NoGradGuard no_grad;
  Graph net = one().net();
  const BatchOf b = batch();
  Frozen f(net, b.x, b.y, "cross-entropy", cut());
  const Field g = f.relaxation.fixed_point();
  for (const Order order : {Order::Synchronous, Order::GaussSeidel, Order::RedBlack}) {
    Field u = f.relaxation.start(f.pass.values(), true);
    RelaxWatch trace;
    const Relaxed done =
        f.relaxation.iterate(u, order, 0.5, {.steps = 1000, .tolerance = 1e-6}, &trace);
    EXPECT_TRUE(done.converged);
    EXPECT_GE(done.steps, f.relaxation.depth());
    EXPECT_LT(done.steps, 200);
    EXPECT_EQ(trace.residual.size(), static_cast<size_t>(done.steps));
    EXPECT_LT(f.distance(u, g), 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Relaxation, EveryNet,
                         ::testing::Combine(::testing::Range<size_t>(0, settled_cases().size()),
                                            ::testing::Values(Cut::Blocks, Cut::EveryNode)),
                         [](const auto& info) {
                           std::string name = settled_cases()[std::get<0>(info.param)].name;
                           std::erase(name, '-');
                           return name +
                                  (std::get<1>(info.param) == Cut::Blocks ? "Blocks" : "Ops");
                         });

TEST(LinearRelaxation, CreditFromZeroHasTheRightDirectionAndAKnownShare) {
  at::NoGradGuard no_grad;
  Graph net = fixture_net();
  Frozen f(net, fixture_inputs(), fixture_targets(), "squared-error");
  const Field g = f.relaxation.fixed_point();
  EXPECT_LT(
      distance(f.of(g, "tanh1"), matrix({{0.18666686, 0.19689214, -0.35053895, 0.09485921},
                                         {0.04767459, 0.45837657, -0.42917851, -0.10117401}})),
      1e-7);
  EXPECT_LT(distance(f.of(g, "tanh2"), matrix({{-0.25899576, -0.25864936, 0.47426799},
                                               {-0.65581811, 0.33150044, 0.37991239}})),
            1e-7);
  for (const auto& [order, near, far] : {std::tuple{Order::Synchronous, 0.83193, 0.47178},
                                         {Order::GaussSeidel, 0.83193, 0.579825}}) {
    Field u = f.relaxation.start(f.pass.values(), true);
    f.relaxation.iterate(u, order, 0.3, {.steps = 5});
    EXPECT_LT(distance(f.of(u, "tanh2"), f.of(g, "tanh2") * near), 1e-9);
    EXPECT_LT(distance(f.of(u, "tanh1"), f.of(g, "tanh1") * far), 1e-9);
  }
}

TEST(LinearRelaxation, ActivationsLeaveAKnownRemainder) {
  at::NoGradGuard no_grad;
  Graph net = fixture_net();
  Frozen f(net, fixture_inputs(), fixture_targets(), "squared-error");
  const Tensor near = matrix(
                   {{-0.20054435, -0.25456433, 0.33846381}, {-0.56171302, 0.24508389, 0.29873769}}),
               far_synchronous = matrix({{0.08063955, -0.08234485, -0.15926632, 0.16555800},
                                         {0.09455793, 0.13590932, -0.28142134, -0.00808845}}),
               far_one_sweep = matrix({{0.08598965, -0.03102186, -0.20733222, 0.15423995},
                                       {0.08222342, 0.19777416, -0.32057654, -0.03736467}});
  for (const auto& [order, far] :
       {std::pair{Order::Synchronous, far_synchronous}, {Order::GaussSeidel, far_one_sweep}}) {
    Field u = f.relaxation.start(f.pass.values(), false);
    f.relaxation.iterate(u, order, 0.3, {.steps = 5});
    EXPECT_LT(distance(f.of(u, "tanh2"), near), 1e-7);
    EXPECT_LT(distance(f.of(u, "tanh1"), far), 1e-7);
  }
  Field u = f.relaxation.start(f.pass.values(), false);
  f.relaxation.iterate(u, Order::GaussSeidel, 0.1, {.steps = 100});
  const Field g = f.relaxation.fixed_point();
  EXPECT_NEAR(distance(f.of(u, "tanh1"), f.of(g, "tanh1")), 3.669e-4, 5e-7);
  EXPECT_NEAR(distance(f.of(u, "tanh2"), f.of(g, "tanh2")), 3.275e-5, 5e-8);
}

TEST(LinearRelaxation, ScalarChainByHand) {
  at::NoGradGuard no_grad;
  Graph net;
  int x = net.input({{1}});
  for (const double w : {1.0, 2.0, 1.0}) {
    x = net.add(linear(1, false), {x});
    net.node(x).op->params()[0]->value = at::full({1, 1}, w, at::kDouble);
  }
  net.output(x);
  const Tensor one = at::ones({1, 1}, at::kDouble);
  Frozen f(net, one, one, "squared-error");  // output 2, target 1: credit 1
  for (const auto& [order, far] :
       {std::pair{Order::Synchronous, 1.375}, {Order::GaussSeidel, 1.625}}) {
    Field u = f.relaxation.start(f.pass.values(), true);
    f.relaxation.iterate(u, order, 0.5, {.steps = 4});
    EXPECT_NEAR(u[2].item<double>(), 15.0 / 16, 1e-15);
    EXPECT_NEAR(u[1].item<double>(), far, 1e-15);
  }
}

TEST(Travel, SharesAndStepsOfTheTables) {
  const std::vector<std::pair<int64_t, double>> missing = {
      {1, 2.66e-5}, {2, 3.2e-4}, {3, 1.94e-3}, {4, 7.8e-3}, {6, 5.8e-2}, {8, 0.21}, {12, 0.70}};
  for (const auto& [hops, share] : missing)
    EXPECT_NEAR(1 - (Travel{0.1, 100, false}.arrived(hops)), share, 0.02 * share) << hops;
  const std::vector<int64_t> hops = {1, 2, 3, 5, 8, 16, 50},
                             slow = {66, 89, 108, 143, 190, 305, 735},
                             fast = {10, 14, 18, 24, 33, 54, 135};
  for (size_t i = 0; i < hops.size(); ++i) {
    EXPECT_EQ(steps_for(0.1, false, hops[i], 1 - 1e-3), slow[i]) << hops[i];
    EXPECT_EQ(steps_for(0.5, false, hops[i], 1 - 1e-3), fast[i]) << hops[i];
  }
}

TEST(Travel, DistantCreditKeepsItsDigits) {
  // Nine hops in ten synchronous steps of 0.01: 10 * 0.01^9 * 0.99 + 0.01^10.
  EXPECT_NEAR((Travel{0.01, 10, false}.arrived(9)) / (10 * 1e-18 * 0.99 + 1e-20), 1, 1e-12);
  EXPECT_EQ((Travel{0.01, 8, false}.arrived(9)), 0);
  // Large numbers of steps: the normal approximation's median.
  EXPECT_NEAR((Travel{0.5, 100000, false}.arrived(50000)), 0.5, 2e-3);
  EXPECT_NEAR((Travel{0.1, 5000, true}.left(0)), std::pow(0.9, 5000), 1e-240);
}

}  // namespace
}  // namespace altprop::testing
