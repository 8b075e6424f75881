// The linear two-layer network with random feedback in n + 2 and n numbers instead of d p + p.
//
// With A = X W(0) and K = XX^T the updates only ever add to W multiples of X^T e b^T, and to beta
// multiples of A^T e, b and beta itself:
//
//   W(t) = W(0) - X^T s b^T / sqrt p,   beta(t) = B c,   B = [A^T  b  beta(0)]  (p x (n + 2)),   c
//   = (u, v, w)
//
// so that XW = A - K s b^T / sqrt p and, with the Gram matrix M = B^T B, (M c)_{1..n} = A beta, (M
// c)_{n+1} = b.beta:
//
//   e = ((M c)_{1..n} - K s (M c)_{n+1} / sqrt p) / sqrt p - y
//   u <- (1 - eta lambda) u - eta e / sqrt p
//   v <- (1 - eta lambda) v + eta (s^T K e) / p
//   w <- (1 - eta lambda) w
//   s <- s + eta e
//
// |beta|^2 = c^T M c. p appears only in making M. Both matrix products of a step, M c and K s, are
// one batched product over all repetitions.
#pragma once

#include "altprop/theory/two_layer.h"

namespace altprop::theory {

class ReducedForm : public Dynamics {
 public:
  ReducedForm(int64_t repetitions, const Draws& draws);

  const Tensor& error() const override { return e_; }
  void step(double eta, double lambda) override;
  Tensor alignment() const override;
  Tensor gram() const override;
  void keep(const Tensor& index) override;

 private:
  void look();

  int64_t n_ = 0, p_ = 0;
  Tensor matrices_;  ///< [2R, n + 2, n + 2]: M of every repetition, then K, padded with zeros
  Tensor state_;     ///< [2R, n + 2]: c of every repetition, then s, padded with zeros
  Tensor products_;  ///< matrices_ times state_
  Tensor y_, e_;     ///< [R, n]
};

}  // namespace altprop::theory
