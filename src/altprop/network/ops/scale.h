// Multiplication by a constant: what parameterisations put behind a layer's weights.
#pragma once

#include "altprop/network/ops/shape.h"

namespace altprop {

class Scale : public LinearMap {
 public:
  /// @param factor not zero, finite
  explicit Scale(double factor);
  std::string type() const override { return "scale"; }
  std::string settings() const override;
  Spec infer(std::span<const Spec> inputs) const override;

 protected:
  Tensor apply(const Tensor& x) const override { return x * factor_; }
  Tensor transposed(const Tensor& cot, IntArrayRef) const override { return cot * factor_; }

 private:
  double factor_;
};

OpPtr scale(double factor);

}  // namespace altprop
