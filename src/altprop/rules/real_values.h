// For rules that hold the values of layers as states which settle: they want real numbers on every
// edge.
#pragma once

#include "altprop/network/graph.h"

namespace altprop {

/// @throws Refusal naming the first layer of spike times: a unit that never fires is at +inf there,
/// and no state settles to that
void require_real_values(const Graph& net);

}  // namespace altprop
