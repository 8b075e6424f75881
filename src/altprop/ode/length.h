// How long a step is: one number for the whole batch, or one for every sample that takes part in
// it.
#pragma once

#include <cmath>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop::ode {

class Length {
 public:
  Length(double h)
      : number_(h) {}  // NOLINT(google-explicit-constructor): a number is the usual one
  /// @param each [rows], in the state's type and on its device
  explicit Length(Tensor each) : each_(std::move(each)) {}

  bool is_shared() const { return !each_.defined(); }
  /// Of all samples, where they share it.
  double number() const { return number_; }

  /// weight h v. @param v [K*rows, ...]
  Tensor times(const Tensor& v, double weight = 1) const {
    return is_shared() ? v * (number_ * weight) : v * column(v, weight);
  }
  /// x + weight h v
  Tensor plus(const Tensor& x, const Tensor& v, double weight = 1) const {
    return is_shared() ? at::add(x, v, number_ * weight) : at::addcmul(x, v, column(v), weight);
  }
  /// The same into x.
  void add_to(Tensor& x, const Tensor& v, double weight = 1) const {
    is_shared() ? x.add_(v, number_ * weight) : x.addcmul_(v, column(v), weight);
  }
  Length absolute() const { return is_shared() ? Length(std::abs(number_)) : Length(each_.abs()); }

 private:
  /// As a factor of values with one or K times as many rows, row k * rows + b of sample b.
  Tensor column(const Tensor& like, double weight = 1) const {
    Tensor all = weight == 1 ? each_ : each_ * weight;
    if (const int64_t rows = all.size(0); rows > 0 && like.size(0) != rows)
      all = all.repeat({like.size(0) / rows});
    std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
    shape[0] = all.size(0);
    return all.view(shape);
  }

  double number_ = 0;
  Tensor each_;
};

}  // namespace altprop::ode
