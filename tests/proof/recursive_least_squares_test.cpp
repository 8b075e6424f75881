// Proof of the contract: recursive least squares (Zhang et al. 2021, arXiv 2109.03220) as a Direction: it needs the signals themselves, the layer's input
// and not only its gradient.
#include <gtest/gtest.h>

#include <map>

#include "altprop/rules/registry.h"
#include "proof/toy.h"

namespace altprop::proof {
namespace {

struct RecursiveLeastSquares : Direction {
  double lambda = 1, k = 1, p0 = 1;
  struct Layer {
    Tensor p, mean_input;
    ParamPtr weight;
  };
  std::map<const Op*, Layer> layers;

  using Direction::absorb;
  void absorb(const LocalSignal& signal, Store& gradients) override {
    signal.accumulate(gradients);
    Layer& layer = layers[signal.op];
    layer.weight = signal.op->weight();
    layer.mean_input = signal.saved->t[0].mean(0);
    if (!layer.p.defined()) layer.p = at::eye(layer.mean_input.size(0), layer.mean_input.options()) * p0;
  }
  void finish(const std::string&, Store& gradients) override {
    for (auto& [op, layer] : layers) {
      const Tensor u = layer.p.mv(layer.mean_input);
      const double h = lambda + k * layer.mean_input.dot(u).item<double>();
      Tensor& gradient = gradients.of(*layer.weight)->into;
      gradient.copy_(gradient.mm(layer.p) / h);
      layer.p = (layer.p - (k / h) * at::outer(u, u)) / lambda;
    }
  }
};

TEST(ProofRecursiveLeastSquares, ADirectionOnTheSignalStream) {
  // Exact for single samples: after four rows Theta is the minimiser of the regularised squared error.
  Graph net;
  net.output(net.add(linear(1, false), {net.input({{2}})}, "fc"));
  net.to(at::kCPU, at::kDouble);
  const ParamPtr theta = net.params()[0];
  theta->value.copy_(at::tensor({0.1, -0.2}, at::kDouble).view({1, 2}));
  auto direction = std::make_shared<RecursiveLeastSquares>();
  direction->p0 = 2;
  Updater updater({.kind = "sgd", .lr = 1});
  updater.set_direction(direction);
  updater.bind(net.params());
  const auto loss = make_loss("squared-error");
  const double rows[4][3] = {{1, 2, 1}, {3, -1, 0}, {0.5, 1, 2}, {2, 0, -1}};
  const auto backprop = make_rule("backprop");
  backprop->bind(net, *loss, 1);
  for (const auto& row : rows) {
    Step step = Step::train(updater, {.inputs = at::tensor({row[0], row[1]}, at::kDouble).view({1, 2})},
                            at::tensor({row[2]}, at::kDouble).view({1, 1}));
    backprop->step(step);
  }
  EXPECT_NEAR(theta->value[0][0].item<double>(), 0.0238, 5e-5);
  EXPECT_NEAR(theta->value[0][1].item<double>(), 0.6018, 5e-5);
  const Tensor p = direction->layers.begin()->second.p;
  EXPECT_NEAR(p[0][0].item<double>(), 0.0680, 5e-5);
  EXPECT_NEAR(p[0][1].item<double>(), 0.0052, 5e-5);
  EXPECT_NEAR(p[1][1].item<double>(), 0.1542, 5e-5);
}

}  // namespace
}  // namespace altprop::proof
