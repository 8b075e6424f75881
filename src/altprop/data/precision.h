// What numbers lose when they are delivered in a type with fewer digits.
#pragma once

#include "altprop/data/dataset.h"

namespace altprop::data {

/// Inputs that are stored in float64 are normalised in float64 and then converted; targets are
/// converted as they are. Where that takes more than a thousandth of the range of a channel, as
/// with seconds since 1970 that are delivered without being standardised, nothing could be learnt
/// from it.
/// @throws Error naming the data set, the channel and what to do
void check_precision(const Dataset& data, at::ScalarType dtype);

}  // namespace altprop::data
