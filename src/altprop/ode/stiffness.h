// Whether steps are as short as they are because the equation is stiff: an explicit method cannot
// take steps for which |lambda| h, lambda the dominant eigenvalue of df/dx, is beyond its bound of
// stability, however smooth the solution is (E. Hairer, G. Wanner, "Solving Ordinary Differential
// Equations II", 1996, section IV.2, and the test in their code DOPRI5).
#pragma once

#include "altprop/ode/step.h"

namespace altprop::ode {

/// |lambda| h between the end of a step and its last stage, |f(X) - f(X')| |h| / |X - X'| at the
/// time of the end: [1], or with steps of their own of each sample.
/// @param y the begin @param f evaluated where the step did not do so; null: then this is empty, as
/// it is for solvers that are no Runge-Kutta methods
std::vector<double> stiffness_of(const Scheme& method, const TimeStep& step, const Tensor& y,
                                 const StepResult& result, const Field* f = nullptr);

/// The largest |lambda| h that a solver can take; 0: not known.
double stiffness_bound(const Scheme& method);

/// Looks at steps in turn: stiff after 15 at the bound, if there were not 6 others in between.
class StiffnessTest {
 public:
  /// @param seen stiffness_of an accepted step
  void take(double seen, double bound);
  bool is_stiff() const { return at_bound_ >= kEnough; }

 private:
  static constexpr int kEnough = 15, kOthers = 6;
  int at_bound_ = 0, others_ = 0;
};

}  // namespace altprop::ode
