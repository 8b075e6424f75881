// Operations of several inputs: sum, elementwise product, concatenation. Some of the inputs, but
// not all, may be one value for the whole batch, of the same shape without the batch dimension: it
// joins every sample, and its credit is the sum over the samples (sum_to_unbatched). Saved.shape
// ends with marks of them where there are any: B, then per input 1 if it is shared.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// The sum of n inputs of one shape. Saves nothing; of shared inputs the marks described above.
class Add : public Op {
 public:
  explicit Add(int n);
  std::string type() const override { return "add"; }
  std::string settings() const override;
  int arity() const override { return n_; }
  Takes takes(int) const override { return Takes::real_or_shared(); }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override { return {.response = Response::Linear}; }

 private:
  int n_;
};

/// The elementwise product of two inputs of one shape, or of samples of as many dimensions of which
/// one has extents of 1 where it is the same along the other's. Saved.t = {first, second}.
class Multiply : public Op {
 public:
  std::string type() const override { return "multiply"; }
  int arity() const override { return 2; }
  Takes takes(int) const override { return Takes::real_or_shared(); }
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  bool has_jvp_vjp() const override { return true; }
  Tensor jvp_vjp(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                 int input) const override;

 private:
  /// A row of the one factor times its partner in the other.
  Tensor product(const Saved& saved, const Tensor& rows, size_t other) const;
  /// Credit of an input from that of each number that was made of it.
  Tensor pulled(const Saved& saved, int input, const Tensor& rows) const;
};

/// n inputs one behind the other along a dimension, of any one kind. Saved.shape = their extents in
/// it, then the marks of shared inputs.
class Concat : public Op {
 public:
  Concat(int n, int64_t dim);
  std::string type() const override { return "concat"; }
  std::string settings() const override;
  int arity() const override { return n_; }
  Takes takes(int) const override;
  Spec infer(std::span<const Spec> inputs) const override;
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override;
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  Tensor jvp(const Saved& saved, const Tensor& tangent, int input) const override;
  Traits traits() const override { return {.response = Response::Linear}; }

 private:
  int n_;
  int64_t dim_;
};

OpPtr add(int n = 2);
OpPtr multiply();
/// @param dim of the batched tensor: 1 is the first dimension of a sample (channels, features)
OpPtr concat(int n, int64_t dim = 1);

}  // namespace altprop
