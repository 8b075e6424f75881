// What tests of spike times share: random times, and first crossings by another formula than the
// library's.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "altprop/network/graph.h"
#include "altprop/network/init.h"
#include "altprop/spiking/event.h"
#include "network/check_op.h"

namespace altprop::spiking::testing {

inline std::shared_ptr<Event> event(int64_t out, EventSettings s = {}) {
  s.out = out;
  return std::make_shared<Event>(s);
}

/// [rows, n] from 0 to `latest`, of which a share never comes.
inline Tensor some_times(uint64_t seed, int64_t rows, int64_t n, double latest = 1,
                         double silent = 0.2, at::ScalarType type = at::kDouble) {
  const Tensor t = Stream(seed).uniform(0, latest, {rows, n}, type);
  return t.masked_fill(Stream(seed).at("silent").bernoulli(silent, t.sizes()).to(at::kBool),
                       INFINITY);
}

inline Tensor some_weights(uint64_t seed, int64_t out, int64_t in, double mean, double deviation,
                           at::ScalarType type = at::kDouble) {
  return Stream(seed).normal({out, in}, type).mul_(deviation).add_(mean);
}

/// The first crossing by its closed form: the earliest t = (theta + sum_C w t) / sum_C w that lies
/// between the last spike of C and the next one, C running through the first 1, 2, ... spikes.
inline double closed_form(const std::vector<double>& t, const std::vector<double>& w,
                          double theta) {
  std::vector<size_t> order;
  for (size_t i = 0; i < t.size(); ++i)
    if (std::isfinite(t[i])) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return t[a] < t[b]; });
  double slope = 0, moment = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    slope += w[order[k]];
    moment += w[order[k]] * t[order[k]];
    const double next = k + 1 < order.size() ? t[order[k + 1]] : INFINITY;
    const double out = (theta + moment) / slope;
    if (slope > 0 && out > t[order[k]] && out <= next) return out;
  }
  return INFINITY;
}

inline Tensor closed_form(const Tensor& arrivals, const Tensor& weight, const Tensor& theta) {
  const Tensor t = arrivals.to(at::kDouble).contiguous(), w = weight.to(at::kDouble).contiguous(),
               th = theta.to(at::kDouble).contiguous();
  const int64_t n = t.size(1);
  Tensor out = at::empty({t.size(0), w.size(0)}, at::kDouble);
  const auto row = [n](const Tensor& m, int64_t r) {
    const double* from = m.const_data_ptr<double>() + r * n;
    return std::vector<double>(from, from + n);
  };
  for (int64_t r = 0; r < t.size(0); ++r)
    for (int64_t j = 0; j < w.size(0); ++j)
      out[r][j] = closed_form(row(t, r), row(w, j), th.const_data_ptr<double>()[j]);
  return out;
}

/// Equal, infinite at the same places.
inline void expect_times(const Tensor& found, const Tensor& expected, double tolerance) {
  ASSERT_EQ(found.sizes(), expected.sizes());
  const Tensor a = found.to(at::kDouble), b = expected.to(at::kDouble);
  EXPECT_TRUE(at::equal(a.isinf(), b.isinf())) << "the same units are silent";
  const Tensor both = a.isfinite().logical_and(b.isfinite());
  EXPECT_EQ(both.sum().item<int64_t>(), b.isfinite().sum().item<int64_t>()) << "NaN";
  if (both.any().item<bool>()) {
    EXPECT_LE((a - b).masked_select(both).abs().max().item<double>(), tolerance);
  }
}

/// A table, row by row.
inline Tensor table(std::vector<double> numbers, IntArrayRef shape) {
  return at::tensor(numbers, at::kDouble).view(shape);
}

/// A chain of operations on spike times of a sample of this shape, in float64.
inline Graph chain_of(std::vector<int64_t> shape, const std::vector<OpPtr>& ops,
                      Kind kind = Kind::SpikeTime) {
  Graph net;
  int x = net.input({.shape = std::move(shape), .kind = kind});
  int number = 0;
  for (const OpPtr& op : ops) x = net.add(op, {x}, "layer" + std::to_string(++number));
  net.output(x);
  net.to(at::kCPU, at::kDouble);
  return net;
}

}  // namespace altprop::spiking::testing
