// Evolution strategies: the estimate against exact gradients, shaping by hand, and that looking at
// perturbed weights leaves no trace.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "altprop/network/gradients.h"
#include "altprop/rules/perturbation/antithetic.h"
#include "altprop/rules/registry.h"
#include "network/support.h"
#include "support/device.h"

namespace altprop {
namespace {

Tensor doubles(std::vector<double> values) { return at::tensor(values, at::kDouble); }

// F(x) = x^T A x / 2 + b^T x has opposite differences 2 sigma g . e: with all n orthogonal
// directions of length sqrt(n) the estimate is the gradient.
TEST(AntitheticDirections, AllOrthogonalOnesGiveTheGradientOfAQuadraticExactly) {
  const int64_t n = 7;
  const Tensor m = Stream(1).normal({n, n}, at::kDouble), a = m + m.t(),
               b = Stream(2).normal({n}, at::kDouble), x = Stream(3).normal({n}, at::kDouble);
  const auto f = [&](const Tensor& at) {
    return (0.5 * at::dot(at, at::mv(a, at)) + at::dot(b, at)).item<double>();
  };
  const AntitheticSettings how{.pairs = n, .sigma = 0.3, .directions = "orthogonal"};
  const Tensor along = antithetic_directions(how, n, Stream(4), at::kDouble);
  Tensor above = at::empty({n}, at::kDouble), below = at::empty({n}, at::kDouble);
  for (int64_t j = 0; j < n; ++j) {
    above[j] = f(x + how.sigma * along[j]);
    below[j] = f(x - how.sigma * along[j]);
  }
  const Tensor found = at::mv(along.t(), antithetic_weights(how, above, below));
  EXPECT_TRUE(at::allclose(found, at::mv(a, x) + b, 1e-12, 1e-12));
}

TEST(AntitheticDirections, AreOrthogonalInBlocksAndOfUnitVariance) {
  const AntitheticSettings how{.pairs = 11, .directions = "orthogonal"};
  const Tensor along = antithetic_directions(how, 4, Stream(4), at::kDouble);
  ASSERT_EQ(shape_text(along.sizes()), "[11, 4]");
  for (const int64_t first : {0, 4, 8}) {
    const Tensor block = along.narrow(0, first, std::min<int64_t>(4, 11 - first));
    EXPECT_TRUE(at::allclose(at::mm(block, block.t()), 4 * at::eye(block.size(0), at::kDouble)));
  }
  EXPECT_FALSE(at::allclose(along.narrow(0, 0, 4), along.narrow(0, 4, 4)));
  const Tensor gaussian = antithetic_directions({.pairs = 2000}, 5, Stream(4), at::kDouble);
  EXPECT_TRUE(
      at::allclose(at::mm(gaussian.t(), gaussian) / 2000, at::eye(5, at::kDouble), 0, 0.15));
}

TEST(AntitheticWeights, ShapeCostsAsTheySay) {
  const Tensor above = doubles({4, 1, 2}), below = doubles({0, 1, 6});
  AntitheticSettings how{.pairs = 3, .sigma = 0.5};
  EXPECT_TRUE(at::allclose(antithetic_weights(how, above, below), doubles({4, 0, -4}) / 3));
  how.best = 2;  // lowest costs 0, 1, 2: the third pair does not count
  EXPECT_TRUE(at::allclose(antithetic_weights(how, above, below), doubles({4, 0, 0}) / 2));
  how.shaping = "standardised";  // of 4, 1, 0, 1: variance 9/4
  EXPECT_TRUE(at::allclose(antithetic_weights(how, above, below), doubles({4, 0, 0}) / 2 / 1.5));
  how.best = 0;
  how.shaping = "ranks";  // 0 1 1 2 4 6 -> -.5 -.2 -.2 .1 .3 .5
  EXPECT_TRUE(at::allclose(antithetic_weights(how, above, below), doubles({0.8, 0, -0.4}) / 3));
  how.pairs = 1;  // equal costs say nothing, however they are shaped
  for (const std::string& shaping :
       {std::string("raw"), std::string("standardised"), std::string("ranks")}) {
    how.shaping = shaping;
    EXPECT_EQ(antithetic_weights(how, doubles({2}), doubles({2})).item<double>(), 0) << shaping;
    EXPECT_TRUE(antithetic_weights(how, doubles({NAN}), doubles({2})).isnan().all().item<bool>());
  }
}

struct EsCase {
  Graph net = test::ready("mlp:4-3-2:tanh:norm=batch,dropout=0.3");
  std::unique_ptr<Loss> loss = make_loss("cross-entropy");
  Tensor x, y;

  explicit EsCase(int64_t batch = 6) {
    net.to(test::test_device(), at::kDouble);
    x = Stream(2).normal({batch, 4}, test::on_device(at::kDouble));
    y = at::arange(batch, test::on_device(at::kLong)).remainder(2);
  }
  std::vector<Tensor> estimate(const OptionValues& options, int64_t number = 0) {
    auto made = make_rule("es", options);
    auto& rule = dynamic_cast<Rule&>(*made);
    rule.bind(net, *loss, 1);
    Gradients sink;
    Step step = Step::look_at({.inputs = x, .draws = Stream(3).at(number)}, y);
    rule.assign(step, sink);
    return sink.of_params(net.params());
  }
  std::vector<Tensor> exact(int64_t number = 0) {
    auto made = make_rule("backprop");
    auto& rule = dynamic_cast<Rule&>(*made);
    rule.bind(net, *loss, 1);
    Gradients sink;
    Step step = Step::look_at({.inputs = x, .draws = Stream(3).at(number)}, y);
    rule.assign(step, sink);
    return sink.of_params(net.params());
  }
};

// As many orthogonal directions as weights, small perturbations: the gradient up to sigma^2, with
// the masks of the step's own draws.
TEST(EvolutionStrategiesRule, WithAllDirectionsItIsTheGradient) {
  at::NoGradGuard no_grad;
  EsCase c;
  const int64_t n = test::parameters(c.net);
  const auto exact = c.exact();
  const auto found = c.estimate(
      {{"es.pairs", std::to_string(n)}, {"es.sigma", "1e-4"}, {"es.directions", "orthogonal"}});
  for (size_t i = 0; i < exact.size(); ++i)
    EXPECT_TRUE(at::allclose(found[i], exact[i], 1e-5, 1e-7)) << c.net.params()[i]->name;
}

TEST(EvolutionStrategiesRule, LeavesWeightsAndStatisticsAsTheyWere) {
  at::NoGradGuard no_grad;
  EsCase c, untouched;
  c.net.params()[0]->value.view(-1)[0] = 1e-300;  // what an addition and its reverse would lose
  untouched.net.params()[0]->value.view(-1)[0] = 1e-300;
  c.estimate({{"es.pairs", "3"}});
  untouched.exact();  // one forward pass in training mode
  for (size_t i = 0; i < c.net.params().size(); ++i)
    EXPECT_TRUE(at::equal(c.net.params()[i]->value, untouched.net.params()[i]->value));
  const auto now = c.net.buffers(), one = untouched.net.buffers();
  ASSERT_FALSE(now.empty());
  for (size_t i = 0; i < now.size(); ++i) EXPECT_TRUE(at::equal(*now[i].second, *one[i].second));
}

TEST(EvolutionStrategiesRule, FrozenWeightsStayAndImpossibleSettingsAreRefused) {
  at::NoGradGuard no_grad;
  EsCase c;
  c.net.params()[0]->learnt = false;
  const auto found = c.estimate({{"es.pairs", "2"}});
  EXPECT_FALSE(found[0].defined() && found[0].ne(0).any().item<bool>());
  EXPECT_TRUE(found[1].ne(0).any().item<bool>());
  EXPECT_NE(test::message_of([&] {
              c.estimate({{"es.pairs", "2"}, {"es.best", "3"}});
            }).find("es.best=3 of es.pairs=2"),
            std::string::npos);
}

}  // namespace
}  // namespace altprop
