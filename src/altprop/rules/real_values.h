// For rules that hold the values of layers as states which move until they settle: they want real
// numbers there.
#pragma once

#include "altprop/network/graph.h"

namespace altprop {

/// @throws Refusal naming the first layer of spike times, where a unit that never fires is at +inf,
/// or the first one whose state would be a probability, which no state stays
/// @param probabilities false: those may be there, for a rule whose values stay as they are
void require_real_values(const Graph& net, bool probabilities = true);

}  // namespace altprop
