// The two-layer network stepped as a network: by its weights, or by its hidden layer's inputs Z =
// XW.
#pragma once

#include "altprop/theory/two_layer.h"

namespace altprop::theory {

/// Z moves by -(eta / sqrt p) K [psi'(Z) . (e b^T)] with K = XX^T, for W moves within the span of
/// X's rows.
class HiddenForm : public Dynamics {
 public:
  HiddenForm(Psi psi, bool exact, int64_t repetitions, const Draws& draws);

  const Tensor& error() const override { return e_; }
  void step(double eta, double lambda) override;
  Tensor alignment() const override;
  Tensor gram() const override;
  void keep(const Tensor& index) override;

 protected:
  /// Moves the hidden layer along its weight gradient. @param credit psi'(Z) . (e b^T), [R, n, p]
  virtual void move(const Tensor& credit, double rate);
  void look();

  Psi psi_;
  bool exact_;
  Tensor k_;         ///< [R, n, n]
  Tensor z_;         ///< [R, n, p]
  Tensor beta_, b_;  ///< [R, p]
  Tensor y_, e_, psi_z_;
};

/// The equations as they stand.
class FullForm : public HiddenForm {
 public:
  FullForm(Psi psi, bool exact, int64_t repetitions, const Draws& draws);
  void keep(const Tensor& index) override;
  const Tensor& weight() const { return w_; }     ///< [R, d, p]
  const Tensor& output() const { return beta_; }  ///< [R, p]

 protected:
  void move(const Tensor& credit, double rate) override;

 private:
  Tensor x_, w_;
};

}  // namespace altprop::theory
