// The hidden form of a ReLU network in float32 in one pass over Z a step: while a tile of Z is in
// the first-level cache, its credit, its part of beta's gradient, its move and its part of the next
// output are all made. Three to four times as fast as the sequence of library calls in
// network_form.cpp, whose results it reproduces to rounding.
#pragma once

#include "altprop/theory/two_layer.h"

namespace altprop::theory {

class ReluSweep : public Dynamics {
 public:
  ReluSweep(bool exact, int64_t repetitions, const Draws& draws);

  const Tensor& error() const override { return e_; }
  void step(double eta, double lambda) override;
  Tensor alignment() const override;
  Tensor gram() const override;
  void keep(const Tensor& index) override;

 private:
  bool exact_;
  int64_t n_ = 0, p_ = 0;
  Tensor k_;         ///< [R, n, n]
  Tensor z_;         ///< [R, tiles, rows, tile]: Z by tiles of columns, padded with zeros
  Tensor beta_, b_;  ///< [R, tiles * tile], padded with zeros
  Tensor y_, e_;     ///< [R, n]
};

}  // namespace altprop::theory
