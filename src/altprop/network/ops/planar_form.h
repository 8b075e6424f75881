// An operation at complex numbers, which rules with complex states ask for (Op::planar): of one
// that bends and has no parameters. Linear ones need none, because all weights are real, so that
// real and imaginary parts are rows like others.
#pragma once

#include "altprop/network/op.h"
#include "altprop/tensor/planar.h"

namespace altprop {

struct PlanarForm {
  virtual ~PlanarForm() = default;
  /// @param x [rows, ...], whose rows are parts of complex samples as `rows` says
  /// @param saved filled with what the derivative needs
  virtual Tensor planar_forward(const Tensor& x, const PlanarRows& rows, Saved& saved) const = 0;
  /// The derivative times a cotangent: a complex product, without conjugation, in complex rows.
  virtual Tensor planar_pull(const Saved& saved, const Tensor& cot,
                             const PlanarRows& rows) const = 0;
};

}  // namespace altprop
