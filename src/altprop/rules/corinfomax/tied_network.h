// What CorInfoMax approximates: with W_fb = W_ff^T and no lateral drive its dynamics descends
//
//   E = (1/eps) sum over hidden |s|^2 + (1 + 1/eps)/2 |s_out|^2 - (1/eps) sum <s_above, W s_below>
//
// in the box, which is equilibrium propagation's setting (Scellier & Bengio 2017, arXiv
// 1602.05179), so that the contrast of activities estimates a gradient: that of 1/2 |s_out - y|^2
// at the free fixed point. Here the same gradient is computed exactly, by the adjoint of the fixed
// point on the units that are strictly inside their domain:
//
//   H a = s_out - y,   dL/dW = (1/eps) (a_above s_below^T + s_above a_below^T),   H = E's Hessian
//
// Multipliers of sparse layers are left out.
#pragma once

#include "altprop/rules/corinfomax/chain.h"

namespace altprop {

class TiedNetwork {
 public:
  TiedNetwork(const std::vector<DenseLayer>& layers, double epsilon)
      : layers_(layers), epsilon_(epsilon) {}

  /// Descends the energy from zero rates, exactly in one layer after the other, until no rate moves
  /// by more than the number format resolves. @param inputs [rows, n_0]
  void settle(const Tensor& inputs);
  /// The adjoint. @param gradient of the loss at the outputs, per sample [rows, n_out]
  void solve(const Tensor& gradient);

  /// Per layer, [rows, n].
  const std::vector<Tensor>& rates() const { return rates_; }
  const std::vector<Tensor>& adjoint() const { return adjoint_; }

 private:
  /// (values above) W + (values below) W^T, the inputs left out.
  Tensor from_neighbours(const std::vector<Tensor>& values, size_t layer) const;
  Tensor clamped(size_t layer, const Tensor& u) const;

  const std::vector<DenseLayer>& layers_;
  double epsilon_;
  std::vector<Tensor> rates_, adjoint_;
};

}  // namespace altprop
