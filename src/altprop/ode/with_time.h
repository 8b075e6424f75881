// The time as one more channel, so that what follows can depend on it.
#pragma once

#include "altprop/network/op.h"

namespace altprop::ode {

/// Inputs: values [B, ...] and a time, [1] or of each sample [B, 1]. Output: the values with one
/// more entry, in front, along a dimension, that holds the time. Saved.shape = that of the values;
/// Saved.t = the time where it is each sample's.
class WithTime : public Op {
 public:
  /// @param dim of the batched tensor: 1 is the first of a sample (channels), -1 the last
  explicit WithTime(int64_t dim = 1) : dim_(dim) {}
  std::string type() const override { return "with_time"; }
  std::string settings() const override;
  int arity() const override { return 2; }
  Takes takes(int input) const override;
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override { return {.response = Response::Linear}; }

 private:
  int64_t dim_;
};

OpPtr with_time(int64_t dim = 1);

}  // namespace altprop::ode
