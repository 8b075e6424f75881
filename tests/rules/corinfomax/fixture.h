// The worked example of CorInfoMax (3-4-2, float64, weights of sines) and its dynamics written down
// a second time as the equations stand, without any of the engine's layout.
#pragma once

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/rules/corinfomax/dynamics.h"
#include "rules/feedback/lab.h"

namespace altprop::testing {

/// .5 sin(1 + .7 a + 1.3 b + 2.1 l) [out, in].
inline Tensor sines(int l, int64_t out, int64_t in) {
  Tensor w = at::empty({out, in}, at::kDouble);
  for (int64_t a = 0; a < out; ++a)
    for (int64_t b = 0; b < in; ++b)
      w[a][b] = 0.5 * std::sin(1 + 0.7 * static_cast<double>(a) + 1.3 * static_cast<double>(b) +
                               2.1 * static_cast<double>(l));
  return w;
}

inline Tensor rows(std::initializer_list<std::initializer_list<double>> values) {
  std::vector<double> flat;
  for (const auto& row : values) flat.insert(flat.end(), row.begin(), row.end());
  return at::tensor(flat, at::kDouble).view({static_cast<int64_t>(values.size()), -1});
}

inline Tensor example_inputs() { return rows({{.2, .7, .4}, {.9, .1, .3}}); }
inline Tensor example_targets() { return at::eye(2, at::kDouble); }

/// A chain of dense layers without biases, fc1, fc2, ..., with these weights.
inline Graph dense_net(const std::vector<Tensor>& weights, const std::string& function) {
  Graph net;
  int x = net.input({{weights[0].size(1)}});
  for (size_t k = 0; k < weights.size(); ++k) {
    x = net.add(linear(weights[k].size(0), false), {x}, "fc" + std::to_string(k + 1));
    net.node(x).op->weight()->value = weights[k].clone();
    if (k + 1 < weights.size()) x = net.add(activation(function), {x});
  }
  net.output(x);
  return net;
}

inline std::vector<Tensor> example_weights() { return {sines(0, 4, 3), sines(1, 2, 4)}; }

/// The weights of the example with its backward and lateral matrices.
inline DynamicsWeights example_matrices() {
  return {.forward = example_weights(),
          .backward = {Tensor(), sines(3, 4, 2)},
          .lateral = {at::eye(4, at::kDouble).mul_(2), at::eye(2, at::kDouble).mul_(3)},
          .gamma = 0.01};
}

struct NaiveState {
  std::vector<Tensor> s, mu;
};

/// One phase by the letter: every layer in turn, its drives added one after the other.
inline void naive_settle(NaiveState& state, const Tensor& x, const DynamicsWeights& w,
                         const DynamicsSettings& d, const std::vector<RateDomain>& domains,
                         int64_t iterations, double beta, const Tensor& y) {
  const size_t last = state.s.size() - 1;
  std::vector<Tensor> u, m;
  for (size_t k = 0; k <= last; ++k) {
    u.push_back(state.s[k].clone());
    m.push_back(state.mu[k].clone());
  }
  for (int64_t it = 0; it < iterations; ++it) {
    double eta = d.eta;
    if (d.step_rule == "slow") eta = std::max(d.eta / (1 + 0.01 * static_cast<double>(it)), 0.001);
    if (d.step_rule == "loop") eta = std::max(d.eta / (1 + static_cast<double>(it)), 0.001);
    for (size_t k = 0; k <= last; ++k) {
      Tensor& s = state.s[k];
      const Tensor basal = at::mm(k ? state.s[k - 1] : x, w.forward[k].t());
      Tensor du = (s - u[k]) * d.leak + (basal - u[k]) / d.epsilon;
      const bool lateral = w.lateral[k].defined();
      if (k < last) {
        du = du + (at::mm(state.s[k + 1], w.backward[k + 1].t()) - u[k]) / d.epsilon;
        if (lateral) du = du + 2 * w.gamma * at::mm(s, w.lateral[k]);
      } else {
        if (lateral) du = du + w.gamma * at::mm(s, w.lateral[k]);
        du = du - beta * (s - y) - u[k];
      }
      const bool sparse = domains[k] == RateDomain::Sparse;
      if (sparse) du = du - state.mu[k];
      u[k] = u[k] + eta * du;
      s = sparse ? u[k].clamp_min(0) : u[k].clamp(0, 1);
      if (!sparse) continue;
      const double rate = k < last ? d.multiplier_hidden : d.multiplier_output;
      m[k] = m[k] + rate * (s.sum(1, true) - 1 + state.mu[k] - m[k]);
      state.mu[k] = m[k].clamp_min(0);
    }
  }
}

inline NaiveState naive_zero(int64_t rows, const DynamicsWeights& w) {
  NaiveState state;
  for (const Tensor& weight : w.forward) {
    state.s.push_back(at::zeros({rows, weight.size(0)}, at::kDouble));
    state.mu.push_back(at::zeros({rows, 1}, at::kDouble));
  }
  return state;
}

/// Rates of the dynamics after a free phase from zero and, if any, a nudged one.
struct SettledRates {
  Dynamics dynamics;
  RateState state;

  SettledRates(const DynamicsWeights& w, DynamicsSettings d, std::vector<RateDomain> domains,
               const Tensor& x, int64_t free_steps) {
    std::vector<int64_t> sizes;
    for (const Tensor& weight : w.forward) sizes.push_back(weight.size(0));
    dynamics = Dynamics(sizes, std::move(domains), std::move(d));
    dynamics.load(w);
    dynamics.start(state, x);
    dynamics.settle(state, free_steps, nullptr);
  }
  void nudge(double beta, const Tensor& y, int64_t steps) {
    const OutputPull nudge{at::full({y.size(0), 1}, beta, y.options()), y};
    dynamics.settle(state, steps, &nudge);
  }
};

inline std::vector<RateDomain> boxes(size_t layers = 2) {
  return std::vector<RateDomain>(layers, RateDomain::AntiSparse);
}

inline double largest(const Tensor& t) { return t.abs().max().item<double>(); }

}  // namespace altprop::testing
