// Takes down how states settle (rules/settling.h), for every rule that relaxes credits.
#pragma once

#include "altprop/rules/relaxation/arrival.h"
#include "altprop/rules/settling.h"

namespace altprop {

/// True after the steps that are worth a point of a curve: all of the first eight, then every
/// quarter of an octave.
bool worth_a_look(int64_t step, int64_t last);

class SettlingRecorder {
 public:
  /// @param exact per state the credit to compare with; undefined states are left out
  /// @param hops per state
  SettlingRecorder(const StateGraph& graph, const std::vector<int64_t>& hops, Field exact,
                   std::string compared_with);
  /// @param states names and hops of the states that the fields hold, in their order
  SettlingRecorder(std::vector<Settling::State> states, Field exact, std::string compared_with);
  /// Fills in what theory says of a linear relaxation.
  void expect(const Travel& travel);
  /// @param credit per state
  /// @param force per state what moves it, relative to `against`; may hold undefined tensors, or
  /// nothing
  /// @param energetic half the square of the credit is the state's part of an energy
  /// @param through_time what backpropagation through as many steps would bring, if known
  void take(int64_t step, const Field& credit, const Field& force, const Field& against,
            bool energetic, const Field* through_time = nullptr);
  Settling finish(double energy_per_sample = NAN);

 private:
  Field exact_;
  std::vector<size_t> of_;  ///< per row: its state
  Settling out_;
};

/// The loop of a linear relaxation from `u`, watched.
Settling watch(LinearRelaxation& relaxation, const StateGraph& graph, Field& u, Order order,
               double eta, const Stop& stop, bool energetic,
               LinearRelaxation::Moving* moving = nullptr);

}  // namespace altprop
