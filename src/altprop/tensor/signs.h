// sign(w) * magnitude in one pass instead of two: what sign-symmetric rules make of every weight in
// every step.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// out = sign(w) * magnitudes, 0 where w is 0 or NaN. @param magnitudes of w's shape, or a single
/// number
void signs_times(Tensor& out, const Tensor& w, const Tensor& magnitudes);

}  // namespace altprop
