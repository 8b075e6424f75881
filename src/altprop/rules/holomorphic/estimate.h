// Signals from states nudged around the circle.
//
//   energy form   -(1/N) sum over k of (1/beta_k) dPhi/dtheta(h_k), Phi = sum of < r_to, map(r) >
//   vector field  (dF/dtheta at r_*)^T delta,   delta = -(1/N) sum over k of (r_k - r_*) / beta_k
//
// (nudges push against the loss). Laborieux & Zenke 2022, arXiv 2209.00530, eq. 10; 2023, arXiv
// 2309.02214, section 2.
#pragma once

#include "altprop/rules/holomorphic/contour.h"
#include "altprop/rules/holomorphic/dynamics.h"

namespace altprop {

/// Nudged states and the circle that they belong to, with what its points count for every sample.
struct Circle {
  Contour contour;
  Field states;  ///< planar, of contour.rows(B)
};

/// delta per state, [B, ...]. @param states planar, of contour.rows(batch) @param rest r_*
Field nudge_credit(const VectorField& field, const Contour& contour, const Field& states,
                   const Field& rest, int64_t of = 0);

/// Of states that are carried around circles: means over the points, with their weights.
struct CircleMean {
  Field membrane;  ///< real parts of what enters the activations
  Field credit;    ///< -(mean of states over nudges)

  /// @param at one point, which counts `weight` @param run of as many rows as the batch
  void take(const VectorField& field, const HolomorphicDynamics& run, const Contour& at,
            double weight);
};

class EnergyEstimate {
 public:
  /// All must outlive this.
  explicit EnergyEstimate(const VectorField& field) : field_(field) {}

  /// The whole estimate but the readout's. Products of differences from r_* where a coupling is
  /// linear in the state that it reads, so that float32 loses nothing.
  /// @param rest null: states carried around whole circles, products of the states themselves
  void deliver(const Contour& contour, const Field& states, const Field* rest, const Tensor& inputs,
               double scale, Sink& sink);
  /// The readout's own gradient, averaged over the circle with the points' weights.
  void deliver_readout(const Contour& contour, const Field& states, const Loss& loss,
                       const Tensor& targets, double scale, Sink& sink);

 private:
  const VectorField& field_;
  PlanarMap::Passed passed_;
  Activity at_rest_;
};

}  // namespace altprop
