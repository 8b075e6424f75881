// Direct feedback alignment: where the projected error enters, and what it is.
#include <gtest/gtest.h>

#include <ATen/ops/conv_transpose2d.h>

#include <cmath>

#include "altprop/base/error.h"
#include "rules/pathways.h"

namespace altprop::pathways {
namespace {

/// An output gradient that the network cannot change.
struct FixedError : Loss {
  Tensor e;
  explicit FixedError(Tensor e) : e(std::move(e)) {}
  std::string name() const override { return "fixed"; }
  std::string help() const override { return ""; }
  Tensor value(const Tensor& y, const Tensor&) const override { return (y * e).flatten(1).sum(1); }
  Tensor gradient(const Tensor&, const Tensor&) const override { return e; }
  Tensor link(const Tensor& y) const override { return y; }
};

std::string refusal(Graph& net, const OptionValues& options = {}) {
  try {
    bound("dfa", net, options);
  } catch (const Refusal& error) {
    return error.what();
  }
  return "";
}

// ---- independence of the weights behind ----

TEST(DirectFeedback, HiddenGradientsIgnoreTheWeightsBehind) {
  const Tensor x = random({7, 9});
  const FixedError loss(random({7, 5}));
  for (const char* place : {"weight-input", "activation"}) {
    Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
    auto rule = bound("dfa", net, {{"dfa.place", place}});
    NamedGradients before = gradients(*rule, net, loss, x, {});
    for (const char* name : {"fc2", "fc3"}) net.node(net.find(name)).op->weight()->value.mul_(-3);
    NamedGradients after = gradients(*rule, net, loss, x, {});
    EXPECT_TRUE(at::equal(before["fc1.weight"], after["fc1.weight"]));
    EXPECT_FALSE(at::equal(before["fc2.weight"], after["fc2.weight"]));  // its own input derivative
  }
}

TEST(DirectFeedback, PlacementsCoincideInPlainNets) {
  const auto loss = make_loss("cross-entropy");
  Graph net = mlp({9, 12, 8, 10, 5}, "tanh", 1, at::kDouble);
  const Tensor x = random({7, 9}), y = at::arange(7, at::kLong).remainder_(5);
  expect_same(gradients(*bound("dfa", net, {{"dfa.place", "activation"}}), net, *loss, x, y),
              gradients(*bound("dfa", net), net, *loss, x, y), 0);
}

TEST(DirectFeedback, ErrorSignAndTarget) {
  const auto loss = make_loss("cross-entropy");
  Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
  const Tensor x = random({7, 9}), y = at::arange(7, at::kLong).remainder_(5);
  const Tensor output = net.predict(x), e = loss->gradient(output, y);
  // Activation of fc1, its derivative, and the projection by hand.
  const Tensor h = at::tanh(at::linear(x, net.params()[0]->value, net.params()[1]->value));
  for (const auto& [error, rows] :
       {std::pair{"e", e}, {"sign", e.sign()}, {"target", at::one_hot(y, 5).to(at::kDouble)}}) {
    auto rule = bound("dfa", net, {{"dfa.error", error}});
    const Tensor d = saved(*rule).at("feedback.fc2");
    const Tensor delta = at::mm(rows, d) * (1 - h * h);
    NamedGradients g = gradients(*rule, net, *loss, x, y);
    EXPECT_LE(distance(g["fc1.weight"], at::mm(delta.t(), x) / 7), 1e-14) << error;
    EXPECT_LE(distance(g["fc1.bias"], delta.sum(0) / 7), 1e-14) << error;
  }
}

TEST(DirectFeedback, SharedMatrixIsSlicedByWidth) {
  Graph net = mlp({9, 12, 8, 5}, "identity", 1, at::kDouble);
  const FixedError loss(random({7, 5}));
  const Tensor x = random({7, 9});
  auto rule = bound("dfa", net, {{"dfa.shared", "true"}});
  const TensorMap state = saved(*rule);
  ASSERT_EQ(state.size(), 1u);
  const Tensor d = state.at("feedback.shared");
  EXPECT_EQ(d.sizes(), IntArrayRef({5, 12}));
  EXPECT_LE(d.abs().max().item<double>(), 1 / std::sqrt(12.0));
  EXPECT_GT(d.abs().max().item<double>(), 0.9 / std::sqrt(12.0));
  NamedGradients g = gradients(*rule, net, loss, x, {});
  EXPECT_LE(distance(g["fc1.bias"], at::mm(loss.e, d).mean(0)), 1e-14);
  EXPECT_LE(distance(g["fc2.bias"], at::mm(loss.e, d.narrow(1, 0, 8)).mean(0)), 1e-14);
}

TEST(DirectFeedback, InstrumentsSeeTheOutputLayerOnly) {
  Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
  for (const char* place : {"weight-input", "activation"}) {
    auto rule = bound("dfa", net, {{"dfa.place", place}});
    const auto facts = rule->feedback();
    ASSERT_EQ(facts.size(), 1u) << place;
    EXPECT_EQ(facts[0].name, "fc3");
    EXPECT_TRUE(at::equal(facts[0].feedback, saved(*rule).at("feedback.fc3")));
    EXPECT_TRUE(facts[0].weight.is_same(net.node(net.find("fc3")).op->weight()->value));
  }
}

// ---- convolutions ----

/// The credit of conv1's output, by the definition: e at every output position, transposed
/// convolution with D, relu mask.
TEST(DirectFeedback, KernelPlacementIsATransposedConvolutionOfTheSpreadError) {
  for (const ConvSettings& second :
       {ConvSettings{.out = 6, .kernel = 3, .padding = 1}, ConvSettings{.out = 6, .kernel = 2},
        ConvSettings{.out = 3, .kernel = 3, .stride = 2, .padding = 1},
        ConvSettings{.out = 3, .kernel = 3, .stride = 3},
        ConvSettings{.out = 3, .kernel = 2, .padding = 2, .dilation = 2},
        ConvSettings{.out = 2, .kernel = 5, .kernel_w = 1}}) {
    Graph net = conv_net(second);
    const Tensor x = random({7, 3, 6, 6});
    const FixedError loss(random({7, 5}));
    auto rule = bound("dfa", net);
    const Tensor d = saved(*rule).at("feedback.conv2");
    const auto out = net.node(net.find("conv2")).spec.shape;
    const int64_t kw = second.kernel_w ? second.kernel_w : second.kernel;
    EXPECT_EQ(d.sizes(), IntArrayRef({5, 4, second.kernel, kw}));
    const Tensor spread = loss.e.view({7, 5, 1, 1}).expand({7, 5, out[1], out[2]});
    const Tensor credit = std::get<0>(at::convolution_backward(
        spread, at::zeros({7, 4, 6, 6}, at::kDouble), d, {{0}}, {second.stride, second.stride},
        {second.padding, second.padding}, {second.dilation, second.dilation}, false, {0, 0}, 1,
        {true, false, false}));
    Op& conv1 = *net.node(net.find("conv1")).op;
    const Tensor a = at::convolution(x, conv1.weight()->value, conv1.params()[1]->value, {1, 1},
                                     {1, 1}, {1, 1}, false, {0, 0}, 1);
    const Tensor delta = credit * a.gt(0);
    NamedGradients g = gradients(*rule, net, loss, x, {});
    EXPECT_LE(distance(g["conv1.bias"], delta.sum(IntArrayRef({0, 2, 3})) / 7), 1e-13);
    const Tensor dw =
        std::get<1>(at::convolution_backward(delta, x, conv1.weight()->value, {{4}}, {1, 1}, {1, 1},
                                             {1, 1}, false, {0, 0}, 1, {false, true, false}));
    EXPECT_LE(distance(g["conv1.weight"], dw / 7), 1e-13);
    if (second.stride == 1 && second.padding == 1) {
      // Away from the borders the credit is constant in space: sum_c e_c sum_taps D.
      const Tensor inner = at::mm(loss.e, d.sum(IntArrayRef({2, 3})));
      EXPECT_LE(distance(credit.select(2, 2).select(2, 3), inner), 1e-14);
    }
  }
}

TEST(DirectFeedback, ActivationPlacementProjectsToEveryPosition) {
  Graph net = conv_net({.out = 6, .kernel = 3, .padding = 1});
  const Tensor x = random({7, 3, 6, 6});
  const FixedError loss(random({7, 5}));
  auto rule = bound("dfa", net, {{"dfa.place", "activation"}, {"feedback.init", "kaiming"}});
  const TensorMap state = saved(*rule);
  const Tensor d = state.at("feedback.conv2");
  EXPECT_EQ(d.sizes(), IntArrayRef({5, 4 * 36}));
  EXPECT_EQ(state.at("feedback.fc").sizes(), IntArrayRef({5, 6 * 36}));
  // Nokland's distribution.
  EXPECT_LE(d.abs().max().item<double>(), 1.0 / 12);
  EXPECT_GT(d.abs().max().item<double>(), 0.95 / 12);
  Op& conv1 = *net.node(net.find("conv1")).op;
  const Tensor a = at::convolution(x, conv1.weight()->value, conv1.params()[1]->value, {1, 1},
                                   {1, 1}, {1, 1}, false, {0, 0}, 1);
  const Tensor delta = at::mm(loss.e, d).view({7, 4, 6, 6}) * a.gt(0);
  NamedGradients g = gradients(*rule, net, loss, x, {});
  EXPECT_LE(distance(g["conv1.bias"], delta.sum(IntArrayRef({0, 2, 3})) / 7), 1e-13);
}

TEST(DirectFeedback, SkipConnectionsAddTheirCreditOrAreCut) {
  // x -> fc1 -> h; y = fc3(h + fc2(h)). At h: weight-input adds e D_2 and the skip's e D_3;
  // activation leaves the projection for h alone.
  Graph net;
  const int h = net.add(linear(6), {net.input({{4}})}, "fc1");
  const int s = net.add(add(2), {h, net.add(linear(6), {h}, "fc2")}, "sum");
  net.output(net.add(linear(3), {s}, "fc3"));
  ready(net);
  const Tensor x = random({5, 4});
  const FixedError loss(random({5, 3}));
  auto input = bound("dfa", net), cut = bound("dfa", net, {{"dfa.place", "activation"}});
  const Tensor d2 = saved(*input).at("feedback.fc2"), d3 = saved(*input).at("feedback.fc3");
  EXPECT_LE(
      distance(gradients(*input, net, loss, x, {})["fc1.bias"], at::mm(loss.e, d2 + d3).mean(0)),
      1e-14);
  EXPECT_LE(distance(gradients(*cut, net, loss, x, {})["fc1.bias"], at::mm(loss.e, d2).mean(0)),
            1e-14);
  const auto warnings = cut->warnings({});
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_EQ(warnings[0],
            "dfa.place=activation: skip connections carry no credit past fc1, sum, where the "
            "projected error replaces it");
}

TEST(DirectFeedback, NamedPointsLeaveTheRestExact) {
  Graph net = mlp({9, 12, 8, 10, 5}, "tanh", 1, at::kDouble);
  const FixedError loss(random({7, 5}));
  const Tensor x = random({7, 9});
  auto rule = bound("dfa", net, {{"dfa.place", "activation"}, {"dfa.points", "tanh2"}});
  NamedGradients own = gradients(*rule, net, loss, x, {}),
                 exact = gradients(*rule, net, loss, x, {}, 0, true);
  EXPECT_TRUE(at::equal(own["fc3.weight"], exact["fc3.weight"]));
  EXPECT_GT(distance(own["fc2.weight"], exact["fc2.weight"]), 0.1);
  // Below the point credit crosses fc2 exactly.
  const Tensor h = at::tanh(at::linear(x, net.params()[0]->value, net.params()[1]->value));
  const Tensor h2 = at::tanh(at::linear(h, net.params()[2]->value, net.params()[3]->value));
  const Tensor delta2 = at::mm(loss.e, saved(*rule).at("feedback.fc3")) * (1 - h2 * h2);
  EXPECT_LE(
      distance(own["fc1.bias"], (at::mm(delta2, net.params()[2]->value) * (1 - h * h)).mean(0)),
      1e-13);
}

// ---- sequences ----

TEST(DirectFeedback, ProjectsTokenByToken) {
  Graph net;
  int x = net.add(activation("tanh"), {net.add(linear(6), {net.input({{3, 4}})}, "fc1")});
  net.output(net.add(linear(5), {x}, "fc2"));
  ready(net);
  const FixedError loss(random({7, 3, 5}));
  const Tensor in = random({7, 3, 4});
  for (const char* place : {"weight-input", "activation"}) {
    auto rule = bound("dfa", net, {{"dfa.place", place}});
    const Tensor d = saved(*rule).at("feedback.fc2");
    EXPECT_EQ(d.sizes(), IntArrayRef({5, 6}));
    const Tensor h = at::tanh(at::linear(in, net.params()[0]->value, net.params()[1]->value));
    const Tensor delta = at::matmul(loss.e, d) * (1 - h * h);
    EXPECT_LE(distance(gradients(*rule, net, loss, in, {})["fc1.bias"],
                       delta.sum(IntArrayRef({0, 1})) / 7),
              1e-14)
        << place;
  }
}

TEST(DirectFeedback, OneErrorPerSampleGoesToAllTokens) {
  Graph net;
  int x = net.add(activation("tanh"), {net.add(linear(6), {net.input({{3, 4}})}, "fc1")});
  x = net.add(activation("tanh"), {net.add(linear(2), {x}, "fc2")});
  net.output(net.add(linear(5), {net.add(flatten(), {x})}, "fc3"));
  ready(net);
  const FixedError loss(random({7, 5}));
  const Tensor in = random({7, 3, 4});
  auto rule = bound("dfa", net);
  const Tensor d = saved(*rule).at("feedback.fc2");
  EXPECT_EQ(d.sizes(), IntArrayRef({5, 6}));
  const Tensor h = at::tanh(at::linear(in, net.params()[0]->value, net.params()[1]->value));
  const Tensor delta = at::mm(loss.e, d).unsqueeze(1) * (1 - h * h);
  EXPECT_LE(
      distance(gradients(*rule, net, loss, in, {})["fc1.bias"], delta.sum(IntArrayRef({0, 1})) / 7),
      1e-14);
}

// ---- what is refused ----

TEST(DirectFeedback, SentencesOfRefusal) {
  Graph grouped = conv_net({.out = 6, .kernel = 3, .padding = 1, .groups = 2});
  EXPECT_EQ(refusal(grouped),
            "node 'conv2': the projected error has no kernel placement in a grouped convolution; "
            "use dfa.place=activation");
  EXPECT_EQ(refusal(grouped, {{"dfa.place", "activation"}}), "");

  Graph two;
  const int h = two.add(linear(6), {two.input({{4}})}, "fc1");
  two.output(two.add(linear(3), {h}, "fc2"));
  two.output(two.add(linear(2), {h}, "fc3"));
  EXPECT_EQ(refusal(two),
            "network: direct feedback projects one output error, but there are 2 outputs; use a "
            "network with one output");

  Graph spatial;
  int x = spatial.add(relu(), {spatial.add(conv2d({.out = 4, .kernel = 3, .padding = 1}),
                                           {spatial.input({{3, 32, 32}})}, "conv1")});
  spatial.output(spatial.add(conv2d({.out = 8, .kernel = 3, .padding = 1}), {x}, "conv2"));
  EXPECT_EQ(refusal(spatial),
            "network: its spatial output has 8192 values, and every layer would need a matrix with "
            "as many rows (the limit dfa.max-outputs is 4096); use feedback-alignment");

  Graph up;
  x = up.add(relu(), {up.add(conv2d({.out = 4, .kernel = 3}), {up.input({{3, 6, 6}})}, "conv1")});
  x = up.add(conv_transpose2d({.out = 3, .kernel = 2}), {x}, "up");
  up.output(up.add(linear(5), {up.add(flatten(), {x})}, "fc"));
  EXPECT_EQ(refusal(up),
            "node 'up': the projected error has no kernel placement in a conv_transpose2d, whose "
            "weight is not laid out by output channels; use dfa.place=activation");

  Graph net = mlp({9, 12, 8, 5});
  EXPECT_EQ(refusal(net, {{"dfa.points", "relu1"}}),
            "dfa.points: weight-input placement has a point at every weight operation; use "
            "dfa.place=activation, or feedback.skip to leave operations out");
  EXPECT_EQ(refusal(net, {{"dfa.place", "activation"}, {"dfa.points", "input"}}),
            "node 'input': no parameter at or before it needs credit; name an operation behind a "
            "weight in dfa.points");
  EXPECT_EQ(refusal(net, {{"dfa.place", "activation"}, {"dfa.points", "fc3"}}),
            "node 'fc3': it is the output, whose error is known exactly; name hidden operations in "
            "dfa.points");
}

}  // namespace
}  // namespace altprop::pathways
