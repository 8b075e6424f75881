// Substitutes of the weights in convolutional and residual networks.
#include <gtest/gtest.h>

#include "rules/pathways.h"

namespace altprop::pathways {
namespace {

TEST(Feedback, WeightsAsSubstitutesGiveBackpropInResidualNets) {
  Graph net = residual_net();
  const Tensor x = random({6, 2, 8, 8}),
               y = at::arange(6, test::on_device(at::kLong)).remainder_(5);
  const auto loss = make_loss("cross-entropy");
  Symmetric rule;
  rule.bind(net, *loss, 1);
  expect_same(gradients(rule, net, *loss, x, y), gradients(rule, net, *loss, x, y, 0, true), 1e-12);
}

TEST(Feedback, OutputLayerOfAResidualNetLearnsByBackprop) {
  const Tensor x = random({6, 2, 8, 8}),
               y = at::arange(6, test::on_device(at::kLong)).remainder_(5);
  const auto loss = make_loss("cross-entropy");
  for (const char* name : {"fa", "usf", "frsf", "brsf", "dfa"}) {
    Graph net = residual_net();
    auto rule = bound(name, net);
    NamedGradients own = gradients(*rule, net, *loss, x, y),
                   exact = gradients(*rule, net, *loss, x, y, 0, true);
    EXPECT_TRUE(at::equal(own["fc.weight"], exact["fc.weight"])) << name;
    EXPECT_GT(distance(own["stem.weight"], exact["stem.weight"]), 1e-2) << name;
    EXPECT_TRUE(own["stem.weight"].isfinite().all().item<bool>()) << name;
  }
}

TEST(Feedback, UnitGainLeavesTheGainsOutOfTheCredit) {
  const Tensor x = random({6, 4}), y = at::arange(6, test::on_device(at::kLong)).remainder_(5);
  const auto loss = make_loss("cross-entropy");
  for (const char* kind : {"batch", "layer"}) {
    Graph net;
    int h = net.add(linear(7), {net.input({{4}})}, "fc1");
    h = net.add(kind == std::string("batch") ? batch_norm() : layer_norm(), {h}, "norm");
    net.output(net.add(linear(5), {net.add(activation("tanh"), {h})}, "fc2"));
    ready(net);
    auto exact = bound("fa", net), one = bound("fa", net, {{"feedback.norm-gain", "one"}});
    // At gain one both are the same.
    expect_same(gradients(*one, net, *loss, x, y), gradients(*exact, net, *loss, x, y), 0);
    const ParamPtr gain = net.node(net.find("norm")).op->params()[0];
    gain->value.fill_(2);
    NamedGradients doubled = gradients(*exact, net, *loss, x, y),
                   unit = gradients(*one, net, *loss, x, y);
    for (const char* param : {"norm.weight", "norm.bias", "fc2.weight"})
      EXPECT_TRUE(at::equal(unit[param], doubled[param])) << kind << ' ' << param;
    EXPECT_LE(distance(unit["fc1.weight"] * 2, doubled["fc1.weight"]), 1e-13) << kind;
  }
}

}  // namespace
}  // namespace altprop::pathways
