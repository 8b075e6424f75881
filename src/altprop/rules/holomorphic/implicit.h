// The exact gradient at the free equilibrium of a vector field, however long that takes: what
// estimates by finite nudges are compared with.
#pragma once

#include "altprop/network/objective.h"
#include "altprop/rules/holomorphic/dynamics.h"
#include "altprop/rules/holomorphic/linearised.h"
#include "altprop/rules/step.h"

namespace altprop {

/// Settles freely to rounding, or as near as a few thousand steps lead.
HolomorphicDynamics settled_for_good(const VectorField& field, const Tensor& inputs);

/// Signals of the implicit gradient at where the dynamics rest.
void deliver_implicit(const VectorField& field, HolomorphicDynamics& at_rest,
                      const Objective& objective, Sink& sink);

/// The first samples of a batch, on which a look at exact credits is worth its time.
struct SomeSamples {
  Look look;
  Objective objective;
  Field rest, credits;

  SomeSamples(const Look& whole, const Objective& objective, const Field& rest,
              const Field& credits);
  /// Exact credits to about 1e-4.
  Linearised::Solved exact(const VectorField& field) const;
};

}  // namespace altprop
