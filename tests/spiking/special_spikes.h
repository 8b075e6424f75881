// Operations on spike times beside the same functions in libtorch's operations: a part of
// network/special_operations.h.
#pragma once

#include "network/special_operations.h"

namespace altprop::test {

std::vector<Special> special_spikes();

}  // namespace altprop::test
