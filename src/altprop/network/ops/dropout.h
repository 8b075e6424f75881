// Inverted dropout (Srivastava et al. 2014): each number is zeroed with probability p, the others
// are divided by 1 - p.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// Train draws each sample's mask from the pass's stream by its number, Replay reuses it, Eval is
/// the identity (the output IS the input). Saved.t = {mask: 0 or 1 / (1 - p)}, empty where nothing
/// was dropped.
class Dropout final : public Op {
 public:
  explicit Dropout(double p);
  std::string type() const override { return "dropout"; }
  Traits traits() const override {
    return {.draws = true, .masks = true, .response = Response::Linear};
  }
  std::string settings() const override;
  /// Of probabilities, too, which become real numbers where some are scaled up.
  Takes takes(int input) const override { return {.kinds = {Kind::Real, Kind::Probability}}; }
  Spec infer(std::span<const Spec> inputs) const override {
    Spec out = inputs[0];
    if (out.kind == Kind::Probability) out.kind = Kind::Real;
    return out;
  }
  /// 0 or 1 / (1 - p); undefined where p is 0.
  Tensor mask(const Stream& draws, const RowIds& rows, IntArrayRef shape,
              at::TensorOptions options) const override;
  Saved saved_with(const Tensor& mask) const override { return {.t = {mask}}; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override {
    return vjp(saved, tangent, input, nullptr);
  }
  bool works_in_place() const override { return true; }
  bool keeps_output() const override { return true; }

 private:
  double p_;
};

OpPtr dropout(double p = 0.5);

}  // namespace altprop
