// What operations that are made of others share: a derivative by itself is a sweep through the
// parts with exact feedback.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// Has to know `credit`, which refuses substitutes of its weight, since it has none of its own.
class Composite : public Op {
 public:
  Tensor vjp(const Saved& saved, const Tensor& cot, int input,
             const Tensor* substitute) const override;
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                  const Tensor* substitute, const Shared* shared) const override;

 protected:
  /// jvp_vjp and jvp_accumulate of those that know `credit_of_tangent`.
  Tensor jvp_vjp_by_sweep(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                          int input) const;
  void jvp_accumulate_by_sweep(const Saved& saved, std::span<const Tensor> tangents,
                               const Tensor& cot, double scale, Store& store) const;

 private:
  std::vector<char> only(int input) const;
};

}  // namespace altprop
