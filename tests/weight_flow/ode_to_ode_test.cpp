// The operation: its derivatives, published numbers of one step after the other, and the bound on
// its credit.
#include "altprop/weight_flow/ode_to_ode.h"

#include <torch/csrc/autograd/autograd.h>

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "altprop/network/loss.h"
#include "altprop/probes/credit_growth.h"
#include "altprop/rules/registry.h"
#include "network/check_op.h"
#include "network/support.h"

namespace altprop::weight_flow {
namespace {

Settings small(const std::string& flow, const std::string& solver) {
  return {.flow = flow,
          .activation = "tanh",
          .steps = 3,
          .end = 0.1,
          .solver = solver,
          .gates = 2,
          .width = 3,
          .sees = "both",
          .terms = 3};
}

TEST(OdeToOdeOp, KeepsTheContractWithEveryFlow) {
  for (const std::string& flow : flow_names())
    for (const std::string& solver : {std::string("euler"), std::string("midpoint")}) {
      check_op(ode_to_ode(small(flow, solver)), {{4, 3}}, {.float_tolerance = 3e-3});
      check_op(ode_to_ode(small(flow, solver)), {{1, 1}}, {.float_tolerance = 3e-3});
    }
}

TEST(OdeToOdeOp, KeepsTheContractWithEverySetting) {
  for (Settings settings : {small("iso", "euler"), small("gated", "midpoint")}) {
    settings.retraction = "cayley";
    check_op(ode_to_ode(settings), {{3, 4}}, {.float_tolerance = 3e-3});
    settings.learn_start = false;
    settings.cap = 0.7;
    check_op(ode_to_ode(settings), {{3, 4}}, {.float_tolerance = 3e-3});
    settings.activation = "softplus";  // keeps its input
    settings.steps = 1;
    check_op(ode_to_ode(settings), {{2, 2}}, {.float_tolerance = 3e-3});
  }
  for (const std::string& sees : {std::string("weights"), std::string("time")})
    for (const std::string& flow : {std::string("gated"), std::string("free")}) {
      Settings settings = small(flow, "euler");
      settings.sees = sees;
      settings.activation = "identity";
      check_op(ode_to_ode(settings), {{2, 3}}, {.float_tolerance = 3e-3});
    }
  for (const std::string& basis : {std::string("fourier"), std::string("piecewise")}) {
    Settings settings = small("basis", "euler");
    settings.basis = basis;
    check_op(ode_to_ode(settings), {{2, 3}}, {.float_tolerance = 3e-3});
  }
}

Tensor table(std::vector<double> values, int64_t rows) {
  return at::tensor(values, at::kDouble).view({rows, -1});
}

/// The same network in libtorch's operations, Omega by its formula and of no symmetric part: x_N, W_N,
/// and by autograd the gradients of x_0, Q, N and W(0) by their entries.
struct Unrolled {
  Tensor x, w;
  std::vector<Tensor> gradients;
};
Unrolled unrolled(const std::string& retraction, int64_t steps, const Tensor& x0, const Tensor& q0,
                  const Tensor& n0) {
  at::AutoGradMode with_grad(true);
  std::vector<Tensor> leaves;
  for (const Tensor& one : {x0, q0, n0, at::eye(q0.size(0), at::kDouble)})
    leaves.push_back(one.clone().requires_grad_());
  const Tensor &q = leaves[1], &n = leaves[2], eye = at::eye(q0.size(0), at::kDouble);
  const double h = 1.0 / static_cast<double>(steps);
  Tensor x = leaves[0], w = leaves[3];
  for (int64_t i = 0; i < steps; ++i) {
    x = x + h * at::tanh(at::mm(x, w.t()));
    const Tensor m = at::mm(w.t(), at::mm(q, w)), a = h * (at::mm(m, n) - at::mm(n, m));
    // matrix_exp of a single matrix is wrong up to libtorch 2.13.
    w = at::mm(w, retraction == "exp" ? at::matrix_exp(at::stack({a, a}))[0]
                                      : at::linalg_solve(eye - a / 2, eye + a / 2));
  }
  const Tensor loss = (x - table({1, 0, 0}, 1)).square().sum() / 2;
  return {x.detach(), w.detach(), torch::autograd::grad({loss}, leaves)};
}

struct Fixture {
  std::string retraction;
  Tensor x4, x0_credit, q_last, n_last;
  double loss;
};

// d = 3, N = 4, T = 1, tanh, W(0) = I, L = |x_4 - (1, 0, 0)|^2 / 2: the numbers of an independent
// computation, of gradients by entries. Of Q and N the operation has the symmetric part.
TEST(OdeToOdeOp, GivesTheNumbersOfAnIndependentComputation) {
  const Tensor q = table({1, .2, 0, .2, 2, -.1, 0, -.1, 3}, 3),
               n = table({.5, 0, .3, 0, 1, 0, .3, 0, -.7}, 3);
  const Tensor dq = table(
                   {-.074716477226, -.043284722546, .011204920556, -.037469345818, .022925196845,
                    .243998063844, .206860928144, .317183240604, .051791280381},
                   3),
               dn = table(
                   {.006729671808, -.015714244162, .153676000858, -.081159565522, -.030160951920,
                    .141734147069, .171113417751, .191941215848, .023431280111},
                   3);
  const std::vector<Fixture> fixtures{
      {"exp", table({.682786889777, -.558951628420, 1.615469392718}, 1),
       table({-.494490289288, -1.360503394647, 2.185656144670}, 1), dq[2], dn[2], 1.5113962195087},
      {"cayley", table({.685360589891, -.559989406987, 1.615493931553}, 1),
       table({-.490684832626, -1.362003224885, 2.185337108648}, 1),
       at::tensor({.205438918098, .313785910844, .051354827721}, at::kDouble),
       at::tensor({.170300636640, .189788144602, .023441240193}, at::kDouble), 1.51120336860797}};
  for (const Fixture& expected : fixtures) {
    SCOPED_TRACE(expected.retraction);
    const std::vector<Tensor> x{table({.5, -.3, .8}, 1)};
    const Unrolled known = unrolled(expected.retraction, 4, x[0], q, n);
    expect_close(known.x, expected.x4, 1e-11, "x_4");
    expect_close(known.gradients[0], expected.x0_credit, 1e-11, "dL/dx_0");
    expect_close(known.gradients[1][2], expected.q_last, 1e-11, "the last row of dL/dQ");
    expect_close(known.gradients[2][2], expected.n_last, 1e-11, "the last row of dL/dN");
    if (expected.retraction == "exp") {
      expect_close(known.gradients[1], dq, 1e-11, "dL/dQ");
      expect_close(known.gradients[2], dn, 1e-11, "dL/dN");
      expect_close(known.gradients[3][0],
                   at::tensor({-.230906305965, .011280771646, -.040801404374}, at::kDouble), 1e-11,
                   "the first row of dL/dW(0)");
      expect_close(known.w[0],
                   at::tensor({.539827109406, .217421187751, -.813212591557}, at::kDouble), 1e-11,
                   "the first row of W_4");
    }

    OdeToOde op(
        {.activation = "tanh", .steps = 4, .retraction = expected.retraction, .start = "identity"});
    op.build(std::vector<Spec>{{{3}}});
    for (const ParamPtr& p : op.params()) p->value = p->value.to(at::kDouble);
    op.params()[0]->value = q;
    op.params()[1]->value = n;
    Saved saved;
    const Tensor x4 = op.forward(x, saved, {});
    expect_close(x4, known.x, 1e-13, "x_4");
    const Tensor cot = x4 - table({1, 0, 0}, 1);
    EXPECT_NEAR(cot.square().sum().item<double>() / 2, expected.loss, 1e-11);
    expect_close(op.vjp(saved, cot, 0, nullptr), known.gradients[0], 1e-13, "dL/dx_0");
    Gradients store(op.params());  // also of what never learns
    op.accumulate(saved, cot, 1, store, nullptr, nullptr);
    const auto symmetric = [](const Tensor& m) { return (m + m.t()) / 2; };
    expect_close(store.of_param(*op.params()[0]), symmetric(known.gradients[1]), 1e-13, "dL/dQ");
    expect_close(store.of_param(*op.params()[1]), symmetric(known.gradients[2]), 1e-13, "dL/dN");
    // W(0) as it is fixed, behind which its learnt turn is the identity.
    ASSERT_EQ(op.params()[3]->name, "fixed");
    expect_close(store.of_param(*op.params()[3]), known.gradients[3], 1e-13, "dL/dW(0)");
    // Read up to W_4 itself.
    expect_close(op.flow().run({5, 1.25}).read[4], known.w, 1e-13, "W_4");
  }
}

TEST(OdeToOdeOp, WithoutAFlowIsAResidualNetworkOfOneMatrix) {
  for (const std::string& flow : {std::string("iso"), std::string("constant")}) {
    OdeToOde op({.flow = flow, .activation = "identity", .steps = 5, .end = 2});
    op.build(std::vector<Spec>{{{4}}});
    for (const ParamPtr& p : op.params()) p->value = p->value.to(at::kDouble);
    const Tensor w = draw_orthogonal(4, 4, Stream(9), at::kDouble);
    op.params().back()->value = w;
    const Tensor x = Stream(1).normal({3, 4}, at::kDouble);
    Saved saved;
    const std::vector<Tensor> in{x};
    expect_close(op.forward(in, saved, {}),
                 at::mm(x, at::linalg_matrix_power(at::eye(4, at::kDouble) + 0.4 * w.t(), 5)),
                 1e-13, "x (I + h W^T)^N");
  }
}

/// Smallest and largest |credit of x_0| / |credit of x_N| of a sample.
std::pair<double, double> credit_ratios(const std::string& settings, int64_t d) {
  Graph net = test::ready("chain: ode-to-ode " + settings, {.input_shape = {d}, .classes = d});
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("he"), Stream(4));
  const Op& op = *net.nodes().back().op;
  const Tensor x = Stream(7).normal({200, d}, at::kDouble),
               cot = Stream(8).normal({200, d}, at::kDouble);
  Saved saved;
  const std::vector<Tensor> in{x};
  op.forward(in, saved, {});
  const Tensor ratio = op.vjp(saved, cot, 0).norm(2, 1) / cot.norm(2, 1);
  return {ratio.min().item<double>(), ratio.max().item<double>()};
}

TEST(OdeToOdeOp, CreditStaysWithinTheBoundsOfOrthogonalWeightsAndNotOfOthers) {
  for (const int64_t steps : {10, 25, 100})
    for (const std::string& flow : {std::string("iso"), std::string("gated")})
      for (const std::string& f : {std::string("relu"), std::string("tanh")})
        for (const double end : {1.0, 10.0}) {
          const CreditBounds bounds = credit_bounds(1, end / static_cast<double>(steps), steps);
          const auto [least, most] =
              credit_ratios(text::cat(f, " flow=", flow, " steps=", steps, " T=", end), 16);
          EXPECT_GE(least, bounds.least * (1 - 1e-12)) << flow << f << steps << " " << end;
          EXPECT_LE(most, bounds.most * (1 + 1e-12)) << flow << f << steps << " " << end;
          EXPECT_LT(least, most);
        }
  // The same deep and wide, where weights of gain 2 leave e^T behind.
  const CreditBounds deep = credit_bounds(1, 0.1, 100);
  for (const char* flow : {"iso", "gated gates=2"}) {
    const auto [least, most] = credit_ratios(text::cat("relu T=10 steps=100 flow=", flow), 64);
    EXPECT_GE(least, deep.least * (1 - 1e-12)) << flow;
    EXPECT_LE(most, deep.most * (1 + 1e-12)) << flow;
    EXPECT_LE(std::abs(std::log(least)), 10) << flow;
    EXPECT_LE(std::abs(std::log(most)), 10) << flow;
  }
  EXPECT_GT(credit_ratios("relu T=10 steps=100 flow=constant gain=2", 64).second, std::exp(10));
  const CreditBounds ten = credit_bounds(1, 0.1, 10);
  EXPECT_NEAR(ten.least, 0.3486784401, 1e-10);
  EXPECT_NEAR(ten.most, 2.5937424601, 1e-10);
  EXPECT_GT(credit_ratios("relu flow=constant gain=3 steps=10", 16).second, ten.most);
  EXPECT_EQ(credit_bounds(1, 2, 3).least, 0) << "steps longer than 1 / slope may lose everything";
}

TEST(OdeToOdeOp, BoundsAreThoseOfTheSolverAndOfTheActivation) {
  const auto bounds_of = [](const std::string& settings) {
    const Graph net = test::ready("chain: ode-to-ode " + settings, {.input_shape = {4}, .classes = 4});
    return dynamic_cast<const OdeToOde&>(*net.nodes().back().op).bounds();
  };
  EXPECT_FALSE(bounds_of("relu flow=constant steps=4"));
  EXPECT_NEAR(bounds_of("sigmoid flow=iso steps=4")->most, std::pow(1 + 0.25 / 4, 4), 1e-12);
  Settings steep;
  steep.activation = "leaky-relu(3)";
  steep.steps = 4;
  EXPECT_NEAR(OdeToOde(steep).bounds()->most, std::pow(1 + 0.75, 4), 1e-12);
  const CreditBounds middle = *bounds_of("relu flow=iso solver=midpoint steps=4");
  EXPECT_NEAR(middle.most, std::pow(1 + 0.25 + 0.03125, 4), 1e-12);
  EXPECT_NEAR(middle.least, std::pow(1 - 0.25 - 0.03125, 4), 1e-12);
  for (const char* f : {"relu", "tanh", "gelu"})
    for (const int64_t steps : {3, 20}) {
      const std::string settings = text::cat(f, " flow=iso solver=midpoint steps=", steps);
      const auto [least, most] = credit_ratios(settings, 16);
      EXPECT_GE(least, bounds_of(settings)->least) << settings;
      EXPECT_LE(most, bounds_of(settings)->most) << settings;
    }
}

TEST(CreditGrowth, IsThatOfTheProbeAndSaysWhereWeightsAreNoLongerOrthogonal) {
  Graph net = test::ready("chain: linear 8, ode-to-ode relu flow=iso steps=10, linear 3",
                          {.input_shape = {5}, .classes = 3});
  initialise(net, Initialiser("he"), Stream(4));
  const Tensor x = Stream(7).normal({50, 5}), y = at::arange(50, at::kLong).remainder(3);
  const auto loss = make_loss("cross-entropy");
  const auto rows = credit_growth(net, *loss, x, y, {});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].problem(), "");
  // By hand: credit of the last layer's input, and what is left of it in front of the flow.
  Activity activity;
  const Tensor out = net.run(x, activity, {});
  const Op& flow = *net.nodes()[2].op;
  const Tensor behind = net.nodes()[3].op->vjp(activity.saved[3], loss->gradient(out, y));
  const Tensor ratio = flow.vjp(activity.saved[2], behind).norm(2, 1) / behind.norm(2, 1);
  EXPECT_NEAR(rows[0].least, ratio.min().item<double>(), 1e-5);
  EXPECT_NEAR(rows[0].most, ratio.max().item<double>(), 1e-5);
  CreditGrowth broken = rows[0];
  broken.most = 1.01 * broken.bounds->most;
  EXPECT_TRUE(test::contains(broken.problem(), "not orthogonal any more"));
  broken.most = NAN;
  EXPECT_EQ(broken.problem(), "") << "divergence is said elsewhere";
  const Graph free = test::ready("chain: ode-to-ode relu flow=constant gain=9 steps=4, linear 3",
                                 {.input_shape = {5}, .classes = 3});
  const auto unbounded = credit_growth(free, *loss, x, y, {});
  EXPECT_FALSE(unbounded.at(0).bounds);
  EXPECT_TRUE(credit_growth(test::ready("mlp:5-4-3", {}), *loss, x, y, {}).empty());
}

TEST(OdeToOdeText, BuildsNetworksAndRefusesWhatHasNoEffect) {
  const Graph net = test::ready("ode-to-ode:*-8-*:tanh:flow=gated,gates=3,width=5",
                                {.input_shape = {1, 4, 5}, .classes = 3});
  // in 20 x 8 + 8, out 8 x 3 + 3; perceptrons 15 x 64 + 15, 28 x 15 + 28 x 3, 3 gates; W(0) twice
  EXPECT_EQ(test::parameters(net), 168 + 27 + 975 + 504 + 3 + 128);
  const auto of = [](const std::string& text) {
    return test::message_of([&] { network(text, {.input_shape = {4}, .classes = 3}); });
  };
  EXPECT_NE(of("chain: ode-to-ode flow=iso gates=3").find("'gates' has no effect with flow=iso"),
            std::string::npos);
  EXPECT_NE(of("ode-to-ode:*-8-*:tanh:flow=constant,cap=1").find("'cap' has no effect"),
            std::string::npos);
  EXPECT_NE(of("ode-to-ode:4-8-8-3:tanh").find("three sizes"), std::string::npos);
  EXPECT_NE(of("ode-to-ode:5-8-3").find("write ode-to-ode:*-"), std::string::npos);
  EXPECT_NE(of("chain: ode-to-ode sigmoidd").find("sigmoid"), std::string::npos);
  EXPECT_NE(test::message_of([] {
              network("chain: conv 2 k=1, ode-to-ode", {.input_shape = {1, 4, 4}, .classes = 3});
            }).find("put a flatten"),
            std::string::npos);
  // What an operation says of itself makes it again.
  for (const std::string& flow : flow_names()) {
    const OdeToOde op({.flow = flow, .steps = 7, .retraction = "cayley", .gates = 9, .terms = 2});
    std::string words = op.settings();
    std::replace(words.begin(), words.end(), ',', ' ');
    const Graph again = network("chain: ode-to-ode " + words, {.input_shape = {4}, .classes = 4});
    EXPECT_EQ(again.nodes().back().op->settings(), op.settings());
  }
}

TEST(OdeToOdeText, RulesThatSubstituteWeightsRefuseIt) {
  Graph net = test::ready("ode-to-ode:4-8-3", {.input_shape = {4}, .classes = 3});
  for (const std::string& name : {std::string("feedback-alignment"), std::string("uniform-sign")})
    EXPECT_NE(test::message_of([&] {
                make_rule(name)->bind(net, *make_loss("cross-entropy"), 1);
              }).find("ode-to-ode"),
              std::string::npos)
        << name;
}

}  // namespace
}  // namespace altprop::weight_flow
