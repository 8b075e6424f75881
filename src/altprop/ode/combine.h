// Weighted sums of slopes and of credits.
#pragma once

#include "altprop/ode/scheme.h"

namespace altprop::ode {

/// A sum that is begun with its first part and then added to in place, in a tensor of its own.
class WeightedSum {
 public:
  void add(const Tensor& part, double weight) {
    if (weight == 0 || !part.defined()) return;
    if (!sum_.defined()) {
      sum_ = weight == 1 ? part : part * weight;
      own_ = weight != 1;
    } else if (own_) {
      sum_.add_(part, weight);
    } else {
      sum_ = at::add(sum_, part, weight);
      own_ = true;
    }
  }
  /// Undefined where nothing was added; the only part itself where its weight is 1.
  Tensor take() { return std::move(sum_); }

 private:
  Tensor sum_;
  bool own_ = false;  ///< made here, so that it may be written to
};

/// x + h (w_1 k_1 + ... + w_n k_n) with `weight(j)` of `n`; zero weights are left out. `x` itself
/// where all are zero. Nothing that is given is written to.
template <class Weight>
Tensor combine(const Tensor& x, const Length& h, const Evaluations& k, int n, Weight weight) {
  if (!h.is_shared()) {  // one product with the lengths of all samples
    WeightedSum sum;
    for (int j = 0; j < n; ++j) sum.add(k[static_cast<size_t>(j)].slope, weight(j));
    const Tensor slope = sum.take();
    return slope.defined() ? h.plus(x, slope) : x;
  }
  Tensor out;
  for (int j = 0; j < n; ++j) {
    const double w = weight(j);
    if (w == 0) continue;
    const Tensor& slope = k[static_cast<size_t>(j)].slope;
    if (out.defined()) {
      out.add_(slope, h.number() * w);
    } else {
      out = at::add(x, slope, h.number() * w);
    }
  }
  return out.defined() ? out : x;
}

/// h (w_1 part_1 + ...): the same of parts that may be undefined; undefined where all are.
class ScaledSum {
 public:
  explicit ScaledSum(const Length& h) : h_(h) {}
  void add(const Tensor& part, double weight) {
    sum_.add(part, h_.is_shared() ? h_.number() * weight : weight);
  }
  Tensor take() {
    Tensor out = sum_.take();
    return h_.is_shared() || !out.defined() ? out : h_.times(out);
  }

 private:
  const Length& h_;
  WeightedSum sum_;
};

}  // namespace altprop::ode
