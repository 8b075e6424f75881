// Operations that put numbers elsewhere or leave some out: dimensions in another order, a part of one.
#pragma once

#include "altprop/network/ops/shape.h"

namespace altprop {

/// Dimensions of a sample in another order.
class Permute : public LinearMap {
 public:
  /// @param order the dimensions' old numbers in their new order, the first of a sample being 1
  explicit Permute(std::vector<int64_t> order);
  std::string type() const override { return "permute"; }
  std::string settings() const override;
  Takes takes(int) const override { return Takes::anything(); }
  Spec infer(std::span<const Spec> inputs) const override;
  Traits traits() const override { return {.response = Response::Linear, .rearranges = true}; }

 protected:
  Tensor apply(const Tensor& x) const override;
  Tensor transposed(const Tensor& cot, IntArrayRef shape) const override;

 private:
  std::vector<int64_t> order_, back_;  ///< of the batched tensor
};

/// Entries `from`, `from` + `step`, ... of a dimension.
class Slice : public LinearMap {
 public:
  /// @param dim the first dimension of a sample being 1 @param count of the entries that stay
  Slice(int64_t dim, int64_t from, int64_t count, int64_t step = 1);
  std::string type() const override { return "slice"; }
  std::string settings() const override;
  Takes takes(int) const override { return Takes::anything(); }
  Spec infer(std::span<const Spec> inputs) const override;

 protected:
  Tensor apply(const Tensor& x) const override;
  Tensor transposed(const Tensor& cot, IntArrayRef shape) const override;

 private:
  int64_t end() const { return from_ + (count_ - 1) * step_ + 1; }

  int64_t dim_, from_, count_, step_;
};

OpPtr permute(std::vector<int64_t> order);
OpPtr slice(int64_t dim, int64_t from, int64_t count, int64_t step = 1);

}  // namespace altprop
