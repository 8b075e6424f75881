// Values in [0, 1] as what they mean to cores: probabilities of a spike. They pass as they are.
#pragma once

#include "altprop/network/op.h"

namespace altprop::cores {

/// [B, ...] real values -> the same as probabilities. @throws UsageError in the forward pass if a
/// value is outside of [0, 1], or NaN
class Probabilities final : public Op {
 public:
  std::string type() const override { return "probabilities"; }
  Takes takes(int) const override {
    return {.kinds = {Kind::Real, Kind::Probability}, .within = Interval{0, 1}};
  }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved&, const Tensor& cot, int, const Tensor*) const override { return cot; }
  Tensor jvp(const Saved&, const Tensor& tangent, int) const override { return tangent; }
  bool keeps_output() const override { return true; }
  Traits traits() const override {
    return {.response = Response::Linear, .rearranges = true, .reshapes = true, .views = true};
  }
};

inline OpPtr probabilities() { return std::make_shared<Probabilities>(); }

}  // namespace altprop::cores
