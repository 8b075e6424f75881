// What can go wrong while states settle, said once each, with the numbers and what to do.
#pragma once

#include <string>
#include <vector>

#include "altprop/rules/equilibrium/dynamics.h"
#include "altprop/rules/notices.h"

namespace altprop {

class Diagnosis {
 public:
  /// @param net must outlive this
  explicit Diagnosis(const ConvergentNetwork& net) : net_(net) {}

  /// The free phase of a batch is over.
  void look_at_free(const Settled& settled, const Field& states, Timing timing);
  /// The nudged phase is over. @param minus null: one nudged phase only
  void look_at_nudged(const Field& free, const Field& plus, const Field* minus, double beta);

  /// Sentences since the last call.
  std::vector<std::string> take() { return notices_.take(); }
  /// Part of the units in the middle of their range, of the state where it is smallest, at the last
  /// look.
  double least_interior() const { return least_interior_; }

 private:
  /// @param moved by the nudge, the output units of every sample
  void look_at_output(const Tensor& moved);

  const ConvergentNetwork& net_;
  Notices notices_{"equilibrium-propagation"};
  Settled free_;
  double least_interior_ = 1;
};

}  // namespace altprop
