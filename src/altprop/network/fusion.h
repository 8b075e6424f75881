// Pairs of operations whose forward passes are done in one call: an affine map and the activation
// behind it.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// True if `producer` can apply `activation` while it computes. Depends on the operations only,
/// never on timings.
bool can_fuse(const Op& producer, const Op& activation);

/// activation(producer(input)); fills the producer's Saved only.
Tensor forward_fused(const Op& producer, const Op& activation, const Tensor& input, Saved& saved,
                     const Pass& pass);

/// Fills the activation's Saved from its finished output.
void adopt_fused_output(const Op& activation, const Tensor& output, Saved& saved);

}  // namespace altprop
