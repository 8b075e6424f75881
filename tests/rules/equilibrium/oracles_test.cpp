// Equilibrium propagation against exact gradients: the worked examples, central differences, and
// autograd through the unrolled dynamics.
#include <torch/csrc/autograd/autograd.h>

#include "altprop/base/text.h"
#include "rules/equilibrium/fixture.h"

namespace altprop::testing {
namespace {

void expect_row(const Tensor& found, const std::vector<double>& expected, double tolerance) {
  const Tensor flat = found.flatten();
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(flat[static_cast<int64_t>(i)].item<double>(), expected[i], tolerance) << i;
}

TEST(EquilibriumOracles, DenseExampleSettlesAsWorkedOut) {
  EpExample e = dense_example();
  InMotion m(e, Timing::Synchronous);
  const std::map<int, std::vector<double>> course = {{1, {0.1438248072, 0.1028032019}},
                                                     {5, {0.0793374438, 0.0353533875}},
                                                     {10, {0.0783536796, 0.0348675747}},
                                                     {20, {0.0783545274, 0.0348679840}}};
  for (int t = 1; t <= 400; ++t) {
    m.dynamics.step(nullptr, false);
    if (course.count(t)) expect_row(m.state(2), course.at(t), 1e-10);
  }
  expect_row(m.state(1),
             {0.5245900484177699, 0.33840736109183295, 0.12465432279567737, 0.04314057227181299},
             1e-14);
  EXPECT_NEAR(e.loss_at_rest(), 0.4253230767588483, 1e-14);
}

TEST(EquilibriumOracles, ExactGradientOfTheDenseExample) {
  EpExample e = dense_example();
  const auto g = e.exact();
  expect_row(
      g.at("fc2.weight")[0],
      {-0.1512274453467527, -0.08759143009628141, -0.03314407656467528, -0.013650375549609036},
      1e-12);
  expect_row(g.at("fc2.bias"), {-0.28755167938386555, -0.0036213674222431444}, 1e-12);
  expect_row(
      g.at("fc1.bias"),
      {-0.00485863355844756, 0.12402824989355468, 0.03446492995563077, -0.015892273043920203},
      1e-12);
}

TEST(EquilibriumOracles, ErrorsOfTheDenseExample) {
  EpExample e = dense_example();
  const std::vector<std::tuple<double, double, double, double>> table = {
      {0.5, 5.039e-1, 5.281e-1, 5.265e-2},
      {0.1, 1.476e-1, 1.409e-1, 4.277e-3},
      {0.05, 7.388e-2, 7.206e-2, 1.120e-3},
      {0.01, 1.469e-2, 1.461e-2, 4.548e-5},
      {0.001, 1.465e-3, 1.465e-3, 4.551e-7}};
  for (const std::string dynamics : {"synchronous", "alternating"})
    for (const auto& [beta, plus, minus, both] : table) {
      const auto error = [&](const std::string& estimator, double b) {
        return e.error(with(kLong, {{"ep.dynamics", dynamics},
                                    {"ep.estimator", estimator},
                                    {"ep.beta", text::from_number(b)}}));
      };
      EXPECT_NEAR(error("one-sided", beta), plus, 1e-3 * plus) << beta;
      EXPECT_NEAR(error("one-sided", -beta), minus, 1e-3 * minus) << beta;
      EXPECT_NEAR(error("symmetric", beta), both, 1e-3 * both) << beta;
    }
  // Orders of the error, and its sign (one-sided from both sides).
  const auto off = [&](const std::string& estimator, const std::string& beta) {
    return e.error(with(kLong, {{"ep.estimator", estimator}, {"ep.beta", beta}}));
  };
  EXPECT_NEAR(off("one-sided", "0.02") / off("one-sided", "0.01"), 2, 0.2);
  EXPECT_NEAR(off("symmetric", "0.02") / off("symmetric", "0.01"), 4, 0.5);
  const auto exact = e.exact(),
             up = e.own(with(kLong, {{"ep.estimator", "one-sided"}, {"ep.beta", "0.001"}})),
             down = e.own(with(kLong, {{"ep.estimator", "one-sided"}, {"ep.beta", "-0.001"}}));
  for (const auto& [name, g] : exact)
    EXPECT_LT(cosine(up.at(name) - g, down.at(name) - g), -0.999) << name;
}

TEST(EquilibriumOracles, SymmetricIsTheMeanOfBothSides) {
  for (const bool dense : {true, false}) {
    EpExample e = dense ? dense_example() : conv_example();
    const auto at = [&](const std::string& estimator, const std::string& beta) {
      return e.own({{"ep.estimator", estimator}, {"ep.beta", beta}});
    };
    const auto both = at("symmetric", "0.3"), plus = at("one-sided", "0.3"),
               minus = at("one-sided", "-0.3");
    for (const auto& [name, g] : both)
      EXPECT_LT(distance(g, (plus.at(name) + minus.at(name)) / 2), 1e-12) << name;
    // A random sign is one of the two, drawn per step.
    int pluses = 0;
    for (int64_t step = 0; step < 20; ++step) {
      const auto drawn = e.own({{"ep.estimator", "random-sign"}, {"ep.beta", "0.3"}}, step);
      const bool is_plus = EpExample::apart(drawn, plus) < 1e-14;
      EXPECT_TRUE(is_plus || EpExample::apart(drawn, minus) < 1e-14);
      pluses += is_plus;
    }
    EXPECT_GT(pluses, 3);
    EXPECT_LT(pluses, 17);
  }
}

TEST(EquilibriumOracles, ConvolutionalExample) {
  EpExample e = conv_example();
  InMotion m(e, Timing::Alternating);
  m.dynamics.settle({.steps = 400});
  EXPECT_NEAR(m.state(1).sum().item<double>(), 33.36559668996509, 1e-10);
  expect_row(m.state(2)[0],
             {0.37825719898584426, 0.3457258811317886, 0.3955345114973884, 0.39582654303848225,
              0.025064251852936325, 0.018954844495661618, 0, 0},
             1e-12);
  EXPECT_NEAR(e.loss_at_rest(), 1.2936820935103572, 1e-12);
  const auto g = e.exact();
  expect_row(g.at("conv1.bias"), {-1.349220917821227, -0.6830421822778628, 0.6858056026321967},
             1e-9);
  expect_row(g.at("conv2.bias"), {2.344919754165101, 0.3253669828840732}, 1e-9);
  expect_row(g.at("fc1.bias"), {0.43158257629273356, -0.43158257629273367}, 1e-10);
  for (const auto& [beta, both, one] : std::vector<std::tuple<std::string, double, double>>{
           {"0.1", 4.9e-2, 1.2e-1}, {"0.01", 3.7e-2, 7.1e-2}, {"0.001", 3.3e-6, 8.7e-4}}) {
    EXPECT_NEAR(e.error(with(kLong, {{"ep.beta", beta}})), both, 0.05 * both) << beta;
    EXPECT_NEAR(e.error(with(kLong, {{"ep.beta", beta}, {"ep.estimator", "one-sided"}})), one,
                0.05 * one)
        << beta;
  }
}

TEST(EquilibriumOracles, ReferenceIsTheGradientOfTheLossAtRest) {
  for (const auto& [text, shape, loss, scale] : shapes()) {
    SCOPED_TRACE(text);
    EpExample e = random_example(text, shape, loss, scale);
    expect_numeric(e, e.exact(), 2e-8, [&] { return e.loss_at_rest(); });
  }
}

TEST(EquilibriumOracles, SmallNudgesGiveTheReferenceOnEveryNetwork) {
  for (const auto& [text, shape, loss, scale] : shapes()) {
    SCOPED_TRACE(text);
    EpExample e = random_example(text, shape, loss, scale);
    EXPECT_LT(e.error(with(kLong, {{"ep.beta", "0.001"}})), 2e-6);
  }
}

TEST(EquilibriumOracles, ReferenceWithSeparateWeights) {
  EpExample e = random_example(
      "chain: conv 3 k=3 p=1, sigmoid, conv 4 k=3, maxpool 2, sigmoid, linear 3, sigmoid",
      {2, 6, 6}, "squared-error", 0.5);
  const auto rule =
      bound(kEp, {{"ep.weights", "separate"}, {"ep.free-steps", "800"}, {"ep.tolerance", "1e-15"}},
            e.net, *e.loss);
  const auto exact = gradients(*rule, e.net, *e.loss, e.x, e.y, 0, true);
  expect_numeric(e, exact, 2e-8, [&] {
    return e.loss->value(rule->predict({.inputs = e.x}), e.y).mean().item<double>();
  });
}

/// Autograd through T steps of the dense example's dynamics from its equilibrium, each step with a
/// copy of the parameters of its own: the gradient of each copy, and of each state.
struct Unrolled {
  std::vector<std::vector<Tensor>> copies;  ///< [steps back][W1, b1, W2, b2]
  std::vector<std::vector<Tensor>> states;  ///< [steps back][s1, s2]

  Unrolled(EpExample& e, const Tensor& rest1, const Tensor& rest2, int64_t steps) {
    at::AutoGradMode on(true);
    std::vector<Tensor> leaves, visited;
    Tensor s1 = rest1.detach().clone().requires_grad_(),
           s2 = rest2.detach().clone().requires_grad_();
    const auto sigma = [](const Tensor& a) { return (4 * (a - 0.5)).sigmoid(); };
    for (int64_t t = 0; t < steps; ++t) {
      std::vector<Tensor> p;
      for (size_t i = 0; i < 4; ++i)
        leaves.push_back(p.emplace_back(e.value(i).detach().clone().requires_grad_()));
      visited.push_back(s1);
      visited.push_back(s2);
      const Tensor next1 = sigma(e.x.mm(p[0].t()) + p[1] + s2.mm(p[2])),
                   next2 = sigma(s1.mm(p[2].t()) + p[3]);
      s1 = next1;
      s2 = next2;
    }
    visited.push_back(s1);
    visited.push_back(s2);
    const Tensor l = 0.5 * (s2 - e.y).square().sum();
    const auto of_leaves = torch::autograd::grad({l}, leaves, {}, true, false, true),
               of_states = torch::autograd::grad({l}, visited, {}, false, false, true);
    const auto or_zero = [](const Tensor& g, const Tensor& like) {
      return g.defined() ? g : at::zeros_like(like);
    };
    for (int64_t t = steps - 1; t >= 0; --t) {
      copies.emplace_back();
      for (size_t i = 0; i < 4; ++i) {
        const size_t k = static_cast<size_t>(t) * 4 + i;
        copies.back().push_back(or_zero(of_leaves[k], leaves[k]).detach());
      }
    }
    for (size_t k = visited.size(); k >= 2; k -= 2)
      states.push_back({or_zero(of_states[k - 2], visited[k - 2]).detach(),
                        or_zero(of_states[k - 1], visited[k - 1]).detach()});
  }
};

TEST(EquilibriumOracles, NudgedStepsAreBackpropagationThroughTime) {
  EpExample e = dense_example();
  InMotion m(e, Timing::Synchronous);
  m.dynamics.settle({.steps = 400});
  const Field rest = m.dynamics.copy();
  const Unrolled bptt(e, rest[1], rest[2], 6);
  const double beta = 1e-6;
  const Nudge nudge{*e.loss, e.y, at::full({1, 1}, beta, at::kDouble)};
  Contrast contrast(m.net, m.dynamics, nullptr);
  Field before = rest;
  for (size_t t = 0; t < 5; ++t) {
    m.dynamics.step(&nudge, false);
    const Field after = m.dynamics.copy();
    Gradients sink;
    contrast.deliver({after, before, beta, 1}, sink);
    double difference = 0, norm = 0;
    for (size_t i = 0; i < 4; ++i) {
      difference +=
          (sink.of_param(*e.net.params()[i]) - bptt.copies[t][i]).square().sum().item<double>();
      norm += bptt.copies[t][i].square().sum().item<double>();
    }
    EXPECT_LT(std::sqrt(difference / norm), 2e-5) << t;
    // Neurons: moves are credits times the slope of the activation.
    double apart = 0, without_slope = 0, size = 0;
    for (size_t s : {size_t{1}, size_t{2}}) {
      const Tensor credit = bptt.states[t][s - 1], slope = 4 * rest[s] * (1 - rest[s]);
      const Tensor move = (after[s] - before[s]) / beta;
      apart += (move + slope * credit).square().sum().item<double>();
      without_slope += (move + credit).square().sum().item<double>();
      size += (slope * credit).square().sum().item<double>();
    }
    EXPECT_LT(std::sqrt(apart / size), 2e-5) << t;
    EXPECT_GT(std::sqrt(without_slope / size), 0.1) << t;
    before = after;
  }
}

TEST(EquilibriumOracles, AdjointTermsAreBackpropagationThroughTime) {
  EpExample e = dense_example();
  InMotion m(e, Timing::Synchronous);
  m.dynamics.settle({.steps = 400});
  const Unrolled bptt(e, m.state(1), m.state(2), 200);
  Adjoint adjoint(m.net, nullptr, m.dynamics.masks());
  adjoint.begin(m.dynamics.states(), *e.loss, e.y);
  Field term = adjoint.source();
  std::vector<Tensor> sum(4);
  for (size_t t = 0; t < 200; ++t) {
    if (t < 8) {
      Gradients sink;
      adjoint.deliver(term, 1, sink);
      for (size_t i = 0; i < 4; ++i) {
        const Tensor& expected = bptt.copies[t][i];
        const Tensor found = sink.or_zeros(*e.net.params()[i]);
        EXPECT_LT((found - expected).norm().item<double>(), 1e-13) << t << " " << i;
      }
      term = adjoint.transport(term);
    }
    for (size_t i = 0; i < 4; ++i)
      sum[i] = sum[i].defined() ? sum[i] + bptt.copies[t][i] : bptt.copies[t][i];
  }
  const auto exact = e.exact();
  for (size_t i = 0; i < 4; ++i)
    EXPECT_LT(distance(exact.at(e.net.params()[i]->name), sum[i]), 1e-10);
}

TEST(EquilibriumOracles, TruncatedBackpropagationIsTheSumOfTheLastCopies) {
  EpExample e = dense_example();
  InMotion m(e, Timing::Synchronous);
  m.dynamics.settle({.steps = 30});  // on its way still
  const Unrolled bptt(e, m.state(1), m.state(2), 6);
  const auto found = e.own({{"ep.estimator", "bptt"},
                            {"ep.dynamics", "synchronous"},
                            {"ep.free-steps", "36"},
                            {"ep.nudged-steps", "6"}});
  for (size_t i = 0; i < 4; ++i) {
    Tensor sum = bptt.copies[0][i].clone();
    for (size_t t = 1; t < 6; ++t) sum += bptt.copies[t][i];
    EXPECT_LT(distance(found.at(e.net.params()[i]->name), sum), 1e-13);
  }
}

TEST(EquilibriumOracles, OneLayerInClosedForm) {
  EpExample e = random_example("mlp:4-3", {4}, "squared-error", 0.8);
  const double beta = 0.25;
  InMotion m(e, Timing::Synchronous);
  m.dynamics.settle({.steps = 3});
  const Tensor rest = at::addmm(e.value(1), e.x, e.value(0).t());
  EXPECT_LT(distance(m.state(1), rest), 1e-14);
  const Nudge nudge{*e.loss, e.y, at::full({3, 1}, beta, at::kDouble)};
  m.dynamics.settle({.steps = 60}, &nudge);
  const Tensor y = Loss::as_rows(e.y, rest);
  EXPECT_LT(distance(m.state(1), (rest + beta * y) / (1 + beta)), 1e-14);
  const auto found = e.own(with(kLong, {{"ep.beta", "0.25"}, {"ep.estimator", "one-sided"}})),
             exact = e.exact();
  for (const auto& [name, g] : exact)
    EXPECT_LT(distance(found.at(name), g / (1 + beta)), 1e-13) << name;
}

}  // namespace
}  // namespace altprop::testing
