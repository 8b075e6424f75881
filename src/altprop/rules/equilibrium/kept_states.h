// States of the training examples, kept from one visit to the next, so that a few free steps are
// enough: the "persistent particles" of B. Scellier, Y. Bengio 2017, arXiv 1602.05179.
//
// Memory, and size of a checkpoint: the states of one example times the examples, which is 122 MB
// for 60,000 examples of 500 and 10 units.
#pragma once

#include "altprop/rules/equilibrium/dynamics.h"
#include "altprop/tensor/state_io.h"

namespace altprop {

class KeptStates {
 public:
  /// @param net must outlive this
  explicit KeptStates(const ConvergentNetwork& net)
      : net_(net), kept_(net.graph.states.size()), examples_(0) {}

  /// Sets the states of a begun batch: those of the last visit, zero for an example never seen.
  /// @param ids int64 [B], numbers of the examples in the data set
  void recall(const Tensor& ids, ConvergentDynamics& dynamics) const;
  void keep(const Tensor& ids, const Field& states);
  double bytes() const;
  void state(StateIO io);

 private:
  void make_room(const Tensor& ids, const Field& like);

  const ConvergentNetwork& net_;
  Field kept_;  ///< per state, [examples, ...]; undefined for what does not settle
  int64_t examples_;
};

}  // namespace altprop
