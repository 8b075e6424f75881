// The worked examples of the tests of equilibrium propagation: networks of sines and cosines in
// float64 whose equilibria and exact gradients are known to ten digits and more.
#pragma once

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/network/architecture.h"
#include "altprop/rules/equilibrium/adjoint.h"
#include "rules/relaxation/fixture.h"

namespace altprop::testing {

inline const char* const kEp = "equilibrium-propagation";

/// t[k] = offset + amount sin(0.37 k + 1.7 l + 0.5), k in the order of rows.
inline Tensor sines(IntArrayRef shape, double l, double amount, double offset = 0) {
  Tensor t = at::empty(shape, at::kDouble);
  double* at = t.mutable_data_ptr<double>();
  for (int64_t k = 0; k < t.numel(); ++k)
    at[k] = offset + amount * std::sin(0.37 * static_cast<double>(k) + 1.7 * l + 0.5);
  return t;
}

struct EpExample {
  Graph net;
  std::unique_ptr<Loss> loss;
  Tensor x, y;

  EpExample(const std::string& text, const std::vector<int64_t>& shape, int64_t classes,
            const std::string& loss_name)
      : net(network(text, {.input_shape = shape, .classes = classes})), loss(make_loss(loss_name)) {
    net.to(at::kCPU, at::kDouble);
  }
  Tensor& value(size_t i) { return net.params()[i]->value; }

  std::map<std::string, Tensor> own(const OptionValues& values, int64_t index = 0) {
    return gradients(*bound(kEp, values, net, *loss), net, *loss, x, y, index);
  }
  std::map<std::string, Tensor> exact(const OptionValues& values = {}) {
    return gradients(*bound(kEp, values, net, *loss), net, *loss, x, y, 0, true);
  }
  /// |own - exact| / |exact| over all parameters together.
  double error(const OptionValues& values) { return apart(own(values), exact()); }
  /// Mean loss at the free equilibrium.
  double loss_at_rest() {
    const auto rule = bound(kEp, {{"ep.free-steps", "800"}, {"ep.tolerance", "1e-15"}}, net, *loss);
    return loss->value(rule->predict({.inputs = x}), y).mean().item<double>();
  }

  static double apart(const std::map<std::string, Tensor>& a,
                      const std::map<std::string, Tensor>& b) {
    double difference = 0, norm = 0;
    for (const auto& [name, value] : b) {
      difference += (a.at(name) - value).square().sum().item<double>();
      norm += value.square().sum().item<double>();
    }
    return std::sqrt(difference / norm);
  }
};

/// 3-4-2, shifted sigmoid, squared error, one sample.
inline EpExample dense_example() {
  EpExample e("mlp:3-4-2:shifted-sigmoid:out=shifted-sigmoid", {3}, 2, "squared-error");
  for (size_t l = 0; l < 2; ++l) {
    auto w = e.value(2 * l).accessor<double, 2>();
    for (int64_t a = 0; a < w.size(0); ++a) {
      for (int64_t b = 0; b < w.size(1); ++b)
        w[a][b] = 0.5 * std::sin(1 + 0.7 * static_cast<double>(a) + 1.3 * static_cast<double>(b) +
                                 2.1 * static_cast<double>(l));
      e.value(2 * l + 1)[a] = 0.1 * std::cos(static_cast<double>(a) + static_cast<double>(l));
    }
  }
  e.x = at::tensor({0.2, 0.7, -0.4}, at::kDouble).view({1, 3});
  e.y = at::tensor({1.0, 0.0}, at::kDouble).view({1, 2});
  return e;
}

/// Convolutions with max pooling and a softmax readout; half-hard sigmoid, two samples.
inline EpExample conv_example() {
  EpExample e(
      "chain: conv 3 k=3 p=1, maxpool 2, half-hard-sigmoid, conv 2 k=2, half-hard-sigmoid, linear "
      "2",
      {1, 6, 6}, 2, "cross-entropy");
  const auto set = [&](size_t i, double l, double amount, double offset = 0) {
    e.value(i).copy_(sines(e.value(i).sizes(), l, amount, offset));
  };
  set(0, 0, 0.4);
  set(1, 1, 0.2, 0.6);
  set(2, 2, 0.35);
  set(3, 3, 0.2, 0.9);
  set(4, 4, 1);
  set(5, 6, 0.1);
  e.x = sines({2, 1, 6, 6}, 5, 1);
  e.y = at::tensor({0, 1}, at::kLong);
  return e;
}

/// Random weights small enough to settle, and a batch.
inline EpExample random_example(const std::string& text, const std::vector<int64_t>& shape,
                                const std::string& loss, double scale, int64_t batch = 3) {
  EpExample e(text, shape, 3, loss);
  initialise(e.net, Initialiser("xavier"), Stream(4).at("init"));
  for (const ParamPtr& p : e.net.params())
    p->value.mul_(scale).add_(
        p->value.dim() == 1 ? Stream(5).at(p->name).normal(p->value.sizes(), at::kDouble).mul_(0.1)
                            : at::zeros_like(p->value));
  std::vector<int64_t> rows = shape;
  rows.insert(rows.begin(), batch);
  const BatchOf b = draw_batch(rows, 3);
  e.x = b.x;
  e.y = b.y;
  return e;
}

inline OptionValues with(OptionValues values, const OptionValues& more) {
  for (const auto& [name, value] : more) values[name] = value;
  return values;
}

inline const OptionValues kLong = {{"ep.free-steps", "400"}, {"ep.nudged-steps", "400"}};

/// NamedGradients against central differences of a loss, at some entries of every parameter.
inline void expect_numeric(EpExample& e, const std::map<std::string, Tensor>& g, double tolerance,
                           const std::function<double()>& loss) {
  for (const ParamPtr& p : e.net.params())
    for (int64_t i : {int64_t{0}, p->value.numel() / 2, p->value.numel() - 1}) {
      double* entry = p->value.mutable_data_ptr<double>() + i;
      const double kept = *entry, h = 1e-5;
      *entry = kept + h;
      const double up = loss();
      *entry = kept - h;
      const double down = loss();
      *entry = kept;
      EXPECT_NEAR(g.at(p->name).flatten()[i].item<double>(), (up - down) / (2 * h), tolerance)
          << p->name << " " << i;
    }
}

/// Networks of every admissible kind: text, shape of a sample, loss, scale of the weights.
inline const std::vector<std::tuple<std::string, std::vector<int64_t>, std::string, double>>&
shapes() {
  static const std::vector<std::tuple<std::string, std::vector<int64_t>, std::string, double>> all =
      {{"mlp:5-7-6-3:tanh", {5}, "cross-entropy", 0.4},
       {"mlp:5-7-6-4-3:sigmoid", {5}, "squared-error", 0.5},
       {"mlp:5-6-6-3:tanh:residual=true", {5}, "cross-entropy", 0.4},
       {"chain: conv 3 k=3 p=1, avgpool 2, sigmoid, conv 4 k=2, tanh, linear 3",
        {2, 6, 6},
        "cross-entropy",
        0.5},
       {"chain: conv 3 k=3 p=1, sigmoid, maxpool 2, conv 4 k=2, sigmoid, gap, linear 3, sigmoid",
        {2, 6, 6},
        "squared-error",
        0.5},
       {"dag: x = input(4); a = tanh(linear(x, 5)); b = tanh(linear(a, 6)); "
        "c = tanh(linear(concat(b, x), 5)); y = linear(add(a, c), 3); output y",
        {4},
        "cross-entropy",
        0.4}};
  return all;
}

/// The same with dropout, wherever it may stand: behind a state, in front of several, on inputs, in
/// front of an activation and between activation and pooling.
inline const std::vector<std::tuple<std::string, std::vector<int64_t>, std::string, double>>&
dropped() {
  static const std::vector<std::tuple<std::string, std::vector<int64_t>, std::string, double>> all =
      {{"mlp:5-7-6-3:tanh:dropout=0.3", {5}, "cross-entropy", 0.4},
       {"chain: dropout 0.2, conv 3 k=3 p=1, dropout 0.3, sigmoid, maxpool 2, dropout 0.4, "
        "conv 4 k=2, tanh, flatten, dropout 0.3, linear 3",
        {2, 6, 6},
        "cross-entropy",
        0.4},
       {"chain: conv 3 k=3 p=1, sigmoid, dropout 0.3, avgpool 2, conv 4 k=2, sigmoid, gap, "
        "linear 3, dropout 0.2, sigmoid",
        {2, 6, 6},
        "squared-error",
        0.4},
       {"dag: x = input(4); a = tanh(linear(x, 5)); d = dropout(a, 0.4); b = tanh(linear(d, 6)); "
        "c = tanh(linear(concat(d, b, x), 5)); y = linear(add(a, c), 3); output y",
        {4},
        "cross-entropy",
        0.4}};
  return all;
}

/// The dynamics of an example, on its batch.
struct InMotion {
  ConvergentNetwork net;
  ConvergentDynamics dynamics;
  InMotion(EpExample& e, Timing timing, double epsilon = 1)
      : net(convergent_network(e.net, *e.loss)), dynamics(net, nullptr, timing, epsilon) {
    dynamics.begin(e.x);
  }
  const Tensor& state(size_t i) const { return dynamics.states()[i]; }
};

}  // namespace altprop::testing
