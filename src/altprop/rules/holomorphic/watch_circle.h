// How nudges on a circle spread, for the instruments: the credit that states hold after a nudged
// step, all points taken together, against the exact one, and against what backpropagation through
// as many steps would bring,
//
//   c <- (1 - eta) c + eta D (J^T c + g)
//
// which symmetric feedback and small nudges from rest meet step by step.
#pragma once

#include "altprop/rules/holomorphic/guards.h"
#include "altprop/rules/holomorphic/linearised.h"
#include "altprop/rules/relaxation/watch.h"
#include "altprop/rules/rule.h"

namespace altprop {

class CircleWatch {
 public:
  /// @param field must outlive this
  /// @param run at the free states `rest` on all points, about to be nudged @param damping eta
  CircleWatch(const VectorField& field, const Tensor& inputs, const Objective& objective,
              const FreeStates& rest, const HolomorphicDynamics& run, double damping);

  /// After every step.
  void stepped(const HolomorphicDynamics& run);
  /// Takes down what holds after `step` steps. @param circle what the estimate is made of
  void take(int64_t step, const Circle& circle);
  Settling finish() { return recorder_->finish(); }

 private:
  Field sloped(Field field) const;

  const VectorField& field_;
  Field rest_, push_, through_time_;
  Field before_, now_;  ///< planar
  PlanarRows rows_;
  double damping_;
  Linearised at_rest_;
  std::optional<SettlingRecorder> recorder_;
};

}  // namespace altprop
