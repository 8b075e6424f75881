// How much credit reaches which layer within the steps of a linear relaxation: known before
// training.
#pragma once

#include "altprop/rules/relaxation/linear_relaxation.h"

namespace altprop {

/// The operations with parameters that predict one hidden state.
struct Arrival {
  std::string layer;  ///< names of the operations, joined by " and "
  int64_t hops = 0;   ///< from the loss, along the longest way
  double share = 0;   ///< of backprop's credit along that way; shorter ways bring more of theirs
  int state = -1;
};

/// Share of its credit that every hidden state holds after travel.steps steps, 0 for other states:
/// by the relaxation of one number per state along its longest way, each stepping at its own rate.
std::vector<double> relaxed_shares(const StateGraph& graph, const LinearRelaxation& relaxation,
                                   const Travel& travel);

/// From the inputs to the output; states that only operations without parameters predict are left
/// out.
std::vector<Arrival> arrivals(const StateGraph& graph, const LinearRelaxation& relaxation,
                              const Travel& travel);

/// A sentence if some layer receives less than `enough` of backprop's credit: which one, how much
/// it is, how many steps give 99.9 %. "" otherwise.
/// @param rule  its name; `steps_option` that of its option for the steps
std::string arrival_warning(const std::string& rule, const std::string& steps_option,
                            const StateGraph& graph, const LinearRelaxation& relaxation,
                            const Travel& travel, double enough = 0.9);

}  // namespace altprop
