// Steps of a sequence: taking one out, putting them together, finding the last one of each sample.
#pragma once

#include "altprop/network/ops/shape.h"

namespace altprop {

/// One step of a sequence: [B, T, ...] to [B, ...], sharing the input's memory. Takes token numbers
/// as well as real numbers. Saved.shape = the input's.
class TakeStep : public LinearMap {
 public:
  /// @param step from 0
  explicit TakeStep(int64_t step);
  std::string type() const override { return "step"; }
  std::string settings() const override;
  Takes takes(int) const override { return Takes::anything(); }
  Spec infer(std::span<const Spec> inputs) const override;
  bool keeps_output() const override { return true; }
  Traits traits() const override {
    return {.response = Response::Linear, .rearranges = true, .views = true};
  }

 protected:
  Tensor apply(const Tensor& x) const override;
  Tensor transposed(const Tensor& cot, IntArrayRef shape) const override;

 private:
  int64_t step_;
};

/// n inputs [B, ...] of one shape as the steps of a sequence, [B, n, ...].
class Stack : public Op {
 public:
  explicit Stack(int n);
  std::string type() const override { return "stack"; }
  std::string settings() const override;
  Takes takes(int) const override { return Takes::anything(); }
  int arity() const override { return n_; }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override { return {.response = Response::Linear, .rearranges = true}; }

 private:
  int n_;
};

/// Of every sample the value at the last step that its sequence has: inputs are the tokens [B, n],
/// whose number of entries >= 0 is a sequence's length, and n values [B, ...]. Steps behind the end
/// receive no credit, so that a padded sequence learns exactly as it does alone. A sequence of
/// length 0 counts as one of length 1. Saved.t = {index of the last step, int64 [B]}.
class LastStep : public Op {
 public:
  explicit LastStep(int n);
  std::string type() const override { return "last-step"; }
  std::string settings() const override;
  Takes takes(int input) const override {
    return input == 0 ? Takes::integers() : Takes::anything();
  }
  int arity() const override { return n_ + 1; }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  /// @throws Refusal for input 0, the tokens
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override {
    return vjp(saved, tangent, input, nullptr);
  }
  Traits traits() const override { return {.response = Response::Linear, .rearranges = true}; }

 private:
  int n_;
};

OpPtr take_step(int64_t step);
OpPtr stack(int n);
OpPtr last_step(int n);

}  // namespace altprop
