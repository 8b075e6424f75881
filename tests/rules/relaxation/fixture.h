// The worked example of the relaxation tests: a small tanh network of sines and cosines in float64,
// whose credits and relaxed states are known to eight digits.
#pragma once

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/network/ops/combine.h"
#include "altprop/rules/relaxation/linear_relaxation.h"
#include "altprop/rules/relaxation/state_pass.h"
#include "rules/feedback/lab.h"

namespace altprop::testing {

inline const char* const kAr = "activation-relaxation";
inline const char* const kPc = "predictive-coding";

/// A matrix from rows of numbers.
inline Tensor matrix(std::initializer_list<std::initializer_list<double>> rows) {
  std::vector<double> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  const auto n = static_cast<int64_t>(rows.size());
  return at::tensor(flat, at::kDouble).view({n, -1});
}

/// 3-4-3-2, tanh, tanh, linear: W_l[r][c] = 0.6 sin(1 + r + 2c + 3(l-1)), b_l[r] = 0.1 cos(r + l -
/// 1).
/// @param linear no activations and no biases
inline Graph fixture_net(bool linear_net = false) {
  Graph net;
  int x = net.input({{3}});
  const std::vector<int64_t> widths = {4, 3, 2};
  for (size_t l = 0; l < widths.size(); ++l) {
    x = net.add(linear(widths[l], !linear_net), {x}, "fc" + std::to_string(l + 1));
    const auto params = net.node(x).op->params();
    params[0]->value = params[0]->value.to(at::kDouble);
    auto w = params[0]->value.accessor<double, 2>();
    for (int64_t r = 0; r < w.size(0); ++r) {
      for (int64_t c = 0; c < w.size(1); ++c)
        w[r][c] =
            0.6 * std::sin(1.0 + static_cast<double>(r + 2 * c) + 3.0 * static_cast<double>(l));
      if (linear_net) continue;
      params[1]->value = params[1]->value.to(at::kDouble);
      params[1]->value[r] = 0.1 * std::cos(static_cast<double>(r) + static_cast<double>(l));
    }
    if (l < 2 && !linear_net) x = net.add(activation("tanh"), {x});
  }
  net.output(x);
  return net;
}

/// X[s][c] = sin(0.5 s + c), s = 0, 1.
inline Tensor fixture_inputs() {
  Tensor x = at::empty({2, 3}, at::kDouble);
  for (int64_t s = 0; s < 2; ++s)
    for (int64_t c = 0; c < 3; ++c)
      x[s][c] = std::sin(0.5 * static_cast<double>(s) + static_cast<double>(c));
  return x;
}

inline Tensor fixture_targets() { return at::eye(2, at::kDouble); }

/// Skips of different length: paths of one, two and three hops from the loss meet.
inline Graph skip_net() {
  Graph net;
  const int x = net.input({{4}});
  const int h1 = net.add(activation("tanh"), {net.add(linear(6), {x}, "fc1")}, "h1");
  const int h2 = net.add(activation("tanh"), {net.add(linear(6), {h1}, "fc2")}, "h2");
  const int sum = net.add(add(2), {h1, h2}, "sum");
  const int h3 = net.add(activation("tanh"), {net.add(linear(6), {sum}, "fc3")}, "h3");
  net.output(net.add(linear(3), {net.add(concat(2), {h3, h1}, "both")}, "out"));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(2).at("init"));
  return net;
}

/// The network's state pass and linear relaxation after a forward pass on a batch.
struct Frozen {
  std::unique_ptr<Loss> loss;
  StatePass pass;
  LinearRelaxation relaxation;
  HopFeedback feedback;

  Frozen(Graph& net, const Tensor& x, const Tensor& y, const std::string& loss_name,
         Cut cut = Cut::Blocks)
      : loss(make_loss(loss_name)), pass(net, cut), relaxation(pass.graph()) {
    const Tensor output = pass.forward({.inputs = x, .draws = Stream(7)});
    relaxation.freeze(pass.activity(), feedback, loss->gradient(output, y));
  }
  /// Credit of a state by the name of its node.
  const Tensor& of(const Field& field, const std::string& name) const {
    for (size_t s = 0; s < field.size(); ++s)
      if (pass.graph().states[s].name == name) return field[s];
    throw std::out_of_range(name);
  }
  /// Largest relative distance over the hidden states.
  double distance(const Field& a, const Field& b) const {
    double worst = 0;
    for (size_t s = 0; s < a.size(); ++s)
      if (relaxation.hidden(static_cast<int>(s)))
        worst = std::max(worst, testing::distance(a[s], b[s]));
    return worst;
  }
};

/// A named rule bound to a network.
inline std::unique_ptr<Learner> bound(const std::string& name, const OptionValues& values,
                                      Graph& net, const Loss& loss) {
  std::unique_ptr<Learner> learner = make_rule(name, values);
  learner->bind(net, loss, 1);
  return learner;
}

/// Largest relative distance of the rule's gradients from backprop's over the parameters that have
/// any (a bias in front of a batch norm has none).
inline double distance_from_backprop(Learner& rule, Graph& net, const Loss& loss, const Tensor& x,
                                     const Tensor& y) {
  at::NoGradGuard no_grad;
  const auto own = gradients(rule, net, loss, x, y),
             exact = gradients(rule, net, loss, x, y, 0, true);
  double worst = 0;
  for (const auto& [name, gradient] : exact)
    if (gradient.norm().item<double>() > 1e-12)
      worst = std::max(worst, testing::distance(own.at(name), gradient));
  return worst;
}

}  // namespace altprop::testing
