// Small layers of cores, and what a core does by its definition.
#pragma once

#include <cmath>
#include <map>

#include "altprop/cores/core_layer.h"
#include "altprop/cores/mapping.h"
#include "altprop/cores/normal.h"
#include "altprop/tensor/random.h"

namespace altprop::cores::testing {

/// Two cores of 6 axons over 9 inputs, some of which both read, with 4 and 2 neurons.
inline CoreLayout overlapping() {
  return {.inputs = 9,
          .axons = {{0, 1, 2, 3, 4, 5}, {3, 4, 5, 6, 7, 8}},
          .neurons = {4, 2},
          .groups = {1, 1},
          .rows = 1,
          .columns = 2};
}

/// Two cores over disjoint inputs, out of order, one of which nobody reads; with silent axons.
inline CoreLayout disjoint() {
  return {.inputs = 8,
          .axons = {{5, 1, -1, 3}, {7, 0, 2, -1}},
          .neurons = {3, 2},
          .groups = {1, 1},
          .rows = 2,
          .columns = 1};
}

/// One core of so many axons and neurons.
inline CoreLayout single(int64_t axons, int64_t neurons) {
  return over_inputs({axons}, {}, neurons, {});
}

/// A layer that is built, with float64 parameters.
struct Built {
  std::shared_ptr<CoreLayer> layer;
  explicit Built(CoreLayout layout, CoreSettings settings = {}, uint64_t seed = 1)
      : layer(std::make_shared<CoreLayer>(layout, settings)) {
    const Spec in{{layout.inputs}, Kind::Probability};
    layer->infer({&in, 1});
    layer->build({&in, 1});
    connections() = Stream(seed).at("c").uniform(connections().sizes(), at::kDouble);
    leaks() = Stream(seed).at("b").uniform(-1, 1, leaks().sizes(), at::kDouble);
    for (auto& [name, buffer] : layer->buffers())
      if (buffer->is_floating_point()) *buffer = buffer->to(at::kDouble);
  }
  Tensor& connections() { return layer->weight()->value; }
  Tensor& leaks() { return layer->leaks()->value; }
  Tensor& strengths() { return *layer->buffers()[1].second; }
  Tensor forward(const Tensor& x, Saved& saved, Mode mode = Mode::Train) const {
    return layer->forward({&x, 1}, saved, {mode});
  }
  Tensor operator()(const Tensor& x, Mode mode = Mode::Train) const {
    Saved saved;
    return forward(x, saved, mode);
  }
};

/// The layer's output by its definition, one core after the other, of operations that autograd
/// knows. @param x [B, inputs]
inline Tensor by_definition(const CoreLayout& layout, const Tensor& x, const Tensor& c,
                            const Tensor& b, const Tensor& s, bool frozen = false,
                            double shift = 0) {
  std::vector<Tensor> out;
  for (int64_t core = 0; core < layout.size(); ++core) {
    const int64_t from = layout.first_output(core), n = layout.neurons[static_cast<size_t>(core)];
    std::vector<Tensor> columns;
    for (const int64_t input : layout.axons[static_cast<size_t>(core)])
      columns.push_back(input < 0 ? at::zeros_like(x.select(1, 0)) : x.select(1, input));
    const Tensor seen = at::stack(columns, 1).unsqueeze(1);  // [B, 1, axons]
    const Tensor p = seen * c.narrow(0, from, n), strength = s.narrow(0, from, n);
    const Tensor mu = (p * strength).sum(2) + b.narrow(0, from, n) + shift;
    Tensor var =
        (p * (1 - p) * strength * strength).sum(2).clamp_min(least_variance(x.scalar_type()));
    if (frozen) var = var.detach();
    out.push_back(0.5 * (1 + at::erf(mu / at::sqrt(2 * var))));
  }
  return at::cat(out, 1);
}

/// Probabilities of all sums of one neuron, by convolution: every axon adds s with probability x c.
inline std::map<int, double> distribution(const std::vector<double>& p, const std::vector<int>& s,
                                          int leak) {
  std::map<int, double> out{{leak, 1.0}};
  for (size_t i = 0; i < p.size(); ++i) {
    std::map<int, double> next;
    for (const auto& [sum, chance] : out) {
      next[sum] += chance * (1 - p[i]);
      next[sum + s[i]] += chance * p[i];
    }
    out = std::move(next);
  }
  return out;
}

inline double above(const std::map<int, double>& distribution, int bound) {
  double out = 0;
  for (const auto& [sum, chance] : distribution)
    if (sum > bound) out += chance;
  return out;
}

}  // namespace altprop::cores::testing
