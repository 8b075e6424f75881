// What the tests of feedback pathways share: batches, networks, comparisons of all gradients.
#pragma once

#include <gtest/gtest.h>

#include "altprop/network/architecture.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/pool.h"
#include "altprop/network/ops/shape.h"
#include "altprop/rules/feedback/feedback_rule.h"
#include "rules/teacher.h"
#include "support/device.h"

namespace altprop::pathways {

using testing::cosine;
using testing::gradients;
using testing::mlp;
using testing::NamedGradients;

inline const std::vector<std::string> kPathways = {"feedback-alignment",
                                                   "direct-feedback-alignment", "uniform-sign",
                                                   "fixed-random-sign", "batchwise-random-sign"};
inline const std::unique_ptr<Loss> kCrossEntropy = make_loss("cross-entropy");

/// A rule with options, inside of something.
struct RuleInside {
  std::string name, rule;
  OptionValues options;
};

// googletest looks for this name. NOLINTNEXTLINE(readability-identifier-naming)
inline void PrintTo(const RuleInside& c, std::ostream* out) { *out << c.name; }

/// All rules that admit a block whose parts come and go (an ODE block), and some of them with
/// other settings.
inline std::vector<RuleInside> rules_for_blocks() {
  const Graph net =
      network("chain: linear 6, ode{linear 6, tanh} solver=euler steps=1, linear 5",
              {.input_shape = {9}});
  std::vector<RuleInside> out;
  for (const RuleEntry& entry : rule_entries()) {
    if (!dynamic_cast<Rule*>(entry.make().get())) continue;  // no signals that could be compared
    if (!refusal_of(entry, net, *make_loss(entry.example_loss)).empty()) continue;
    std::string name = entry.name;
    std::replace(name.begin(), name.end(), '-', '_');
    out.push_back({name, entry.name, {}});
  }
  for (const RuleInside& setting : std::vector<RuleInside>{
           {"clipped", "feedback-alignment", {{"feedback.grad-clip", "0.01"}}},
           {"sparse", "feedback-alignment", {{"feedback.density", "0.5"}}},
           {"implicit_kolen_pollack", "kolen-pollack", {{"kp.form", "implicit"}}},
           {"product_activity", "product-feedback-alignment", {{"pfa.form", "activity"}}},
           {"product", "product-feedback-alignment", {{"pfa.form", "product"}}},
           {"product_implicit", "product-feedback-alignment", {{"pfa.form", "implicit"}}}})
    out.push_back(setting);
  return out;
}

/// |a - b| / |b| over all entries: zero only if direction and magnitude agree.
inline double distance(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

inline void expect_same(const NamedGradients& a, const NamedGradients& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, value] : b) {
    if (value.norm().item<double>() < 1e-12)  // biases in front of a batch norm
      EXPECT_LT(a.at(name).norm().item<double>(), 1e-12) << name;
    else
      EXPECT_LE(distance(a.at(name), value), tolerance) << name;
  }
}

struct Batch {
  Tensor x, y;
  explicit Batch(const Graph& net, int64_t rows = 7, uint64_t seed = 3) {
    std::vector<int64_t> shape{rows};
    for (int64_t n : net.node(net.input_nodes()[0]).spec.shape) shape.push_back(n);
    x = Stream(seed).at("x").normal(shape, net.options());
    y = Stream(seed)
            .at("y")
            .uniform({rows})
            .mul_(net.node(net.output_node()).spec.shape[0])
            .to(test::on_device(at::kLong));
  }
};

/// The feedback of any rule of this family with the weights themselves as substitutes.
struct Symmetric : FeedbackRule {
  void prepare(Path& path, const Look&) override { path.m.copy_(path.weight->value); }
};

inline std::unique_ptr<Learner> bound(const std::string& name, Graph& net,
                                      const OptionValues& options = {}, uint64_t seed = 1) {
  auto rule = make_rule(name, options);
  static const auto loss = make_loss("squared-error");  // outlives all rules
  rule->bind(net, *loss, seed);
  return rule;
}

inline TensorMap saved(Learner& rule) {
  TensorMap map;
  rule.state(StateIO::saving(map));
  return map;
}

inline void load(Learner& rule, TensorMap map) { rule.state(StateIO::loading(map)); }

inline void ready(Graph& net) {
  net.to(test::test_device(), at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
}

inline Tensor random(IntArrayRef shape, uint64_t seed = 2) {
  return Stream(seed).normal(shape, test::on_device(at::kDouble));
}

/// conv1 (3x6x6 to 4 channels) - relu - conv2 - flatten - fc.
inline Graph conv_net(const ConvSettings& second) {
  Graph net;
  int x = net.add(conv2d({.out = 4, .kernel = 3, .padding = 1}), {net.input({{3, 6, 6}})}, "conv1");
  x = net.add(conv2d(second), {net.add(relu(), {x})}, "conv2");
  net.output(net.add(linear(5), {net.add(flatten(), {net.add(relu(), {x})})}, "fc"));
  ready(net);
  return net;
}

/// A residual net of two blocks with batch norm, the second one with a projecting shortcut.
inline Graph residual_net() {
  Graph net;
  auto conv_bn = [&](int x, int64_t out, int64_t stride, int64_t kernel, const std::string& name) {
    x = net.add(
        conv2d(
            {.out = out, .kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = false}),
        {x}, name);
    return net.add(batch_norm(), {x}, name + "_bn");
  };
  int x = net.add(relu(), {conv_bn(net.input({{2, 8, 8}}), 4, 1, 3, "stem")}, "stem_relu");
  int y = net.add(relu(), {conv_bn(x, 4, 1, 3, "a1")});
  x = net.add(relu(), {net.add(add(2), {conv_bn(y, 4, 1, 3, "a2"), x})}, "a_out");
  y = net.add(relu(), {conv_bn(x, 6, 2, 3, "b1")});
  y = conv_bn(y, 6, 1, 3, "b2");
  x = net.add(relu(), {net.add(add(2), {y, conv_bn(x, 6, 2, 1, "b_short")})}, "b_out");
  net.output(net.add(linear(5), {net.add(flatten(), {net.add(global_average_pool(), {x})})}, "fc"));
  ready(net);
  for (const ParamPtr& param : net.params())  // gains away from one
    if (param->value.dim() == 1 && param->name.find("weight") != std::string::npos)
      param->value.copy_(Stream(6).at(param->name).uniform(0.5, 1.5, param->value.sizes()));
  return net;
}

/// x = (1, 2), t = (1, 0), 2-3-2-2 relu, squared error; all numbers worked out by hand.
struct Worked {
  Graph net = mlp({2, 3, 2, 2}, "relu", 1, at::kDouble);
  Tensor x = at::tensor({1.0, 2.0}, test::on_device(at::kDouble)).view({1, 2});
  Tensor t = at::tensor({1.0, 0.0}, test::on_device(at::kDouble)).view({1, 2});
  std::unique_ptr<Loss> loss = make_loss("squared-error");
  Tensor m2 = at::tensor({.3, .1, -.2, .2, -.5, .4}, test::on_device(at::kDouble)).view({2, 3});
  Tensor m3 = at::tensor({.1, .6, -.7, .2}, test::on_device(at::kDouble)).view({2, 2});

  Worked() {
    set("fc1.weight", {.5, -.25, .25, .5, -.5, .75});
    set("fc1.bias", {.1, -.2, .3});
    set("fc2.weight", {.4, -.2, .1, -.3, .6, .2});
    set("fc2.bias", {.05, -.05});
    set("fc3.weight", {.5, -.4, .2, .3});
    set("fc3.bias", {0, .1});
  }
  void set(const std::string& name, const std::vector<double>& values) {
    for (const ParamPtr& param : net.params())
      if (param->name == name)
        param->value.copy_(
            at::tensor(values, test::on_device(at::kDouble)).view(param->value.sizes()));
  }
  /// The bias gradients are the credits.
  void expect(Learner& rule, const std::vector<double>& delta2, const std::vector<double>& delta1,
              double tolerance) {
    NamedGradients g = gradients(rule, net, *loss, x, t);
    for (const auto& [name, values] : {std::pair{"fc2.bias", delta2}, {"fc1.bias", delta1}})
      for (size_t i = 0; i < values.size(); ++i)
        EXPECT_NEAR(g[name][static_cast<int64_t>(i)].item<double>(), values[i], tolerance) << name;
    EXPECT_NEAR(g["fc3.bias"][0].item<double>(), -1.319, 1e-12);
    EXPECT_NEAR(g["fc3.bias"][1].item<double>(), .345, 1e-12);
    EXPECT_LE(distance(g["fc1.weight"], g["fc1.bias"].outer(x[0])), 1e-15);
  }
};

}  // namespace altprop::pathways
