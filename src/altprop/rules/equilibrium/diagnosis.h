// What can go wrong while states settle, said once each, with the numbers and what to do.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "altprop/rules/equilibrium/dynamics.h"

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
  std::vector<std::string> take();
  /// Part of the units in the middle of their range, of the state where it is smallest, at the last
  /// look.
  double least_interior() const { return least_interior_; }

 private:
  void say(const std::string& topic, std::string sentence);

  const ConvergentNetwork& net_;
  std::set<std::string> said_;
  std::vector<std::string> fresh_;
  Settled free_;
  double least_interior_ = 1;
};

}  // namespace altprop
