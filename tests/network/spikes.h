// Operations of first spikes for tests: real values to times, the earliest of two times, and times
// to real values. A unit that never fires is at +inf, and no credit crosses it.
#pragma once

#include <cmath>

#include "altprop/network/op.h"

namespace altprop::test {

/// t = 1 / x where x > 0, else never.
class Latency : public Op {
 public:
  std::string type() const override { return "latency"; }
  Spec infer(std::span<const Spec> inputs) const override {
    return {.shape = inputs[0].shape, .kind = Kind::SpikeTime};
  }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const Tensor out =
        at::where(inputs[0].gt(0), inputs[0].reciprocal(), at::full_like(inputs[0], INFINITY));
    saved.t.assign(1, out);
    return out;
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    const Tensor t = match_rows(saved.t[0], cot);
    return at::where(t.isinf(), at::zeros_like(t), -cot * t.square());
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return vjp(saved, tangent, 0, nullptr);
  }
};

/// The earlier of two spikes; of two at one time, or of none, the first input's.
class FirstSpike : public Op {
 public:
  std::string type() const override { return "first-spike"; }
  int arity() const override { return 2; }
  Takes takes(int) const override { return {.kinds = {Kind::SpikeTime}}; }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const Tensor out = at::minimum(inputs[0], inputs[1]);
    saved.t = {inputs[0].le(inputs[1]), out.isinf()};
    return out;
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int input, const Tensor*) const override {
    const Tensor first = match_rows(saved.t[0], cot), silent = match_rows(saved.t[1], cot);
    return at::where(at::logical_and(input == 0 ? first : first.logical_not(), ~silent), cot,
                     at::zeros_like(cot));
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override {
    return vjp(saved, tangent, input, nullptr);
  }
};

/// exp(-t): 0 of a unit that never fires.
class Decay : public Op {
 public:
  std::string type() const override { return "decay"; }
  Takes takes(int) const override { return {.kinds = {Kind::SpikeTime}}; }
  Spec infer(std::span<const Spec> inputs) const override { return {inputs[0].shape}; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    saved.t.assign(1, inputs[0].neg().exp_());
    return saved.t[0];
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    return -cot * match_rows(saved.t[0], cot);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return vjp(saved, tangent, 0, nullptr);
  }
};

}  // namespace altprop::test
