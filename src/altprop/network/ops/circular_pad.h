// Periodic borders: what leaves an image on one side enters on the other, so that a convolution
// behind it, without padding of its own, is one on a circle or a torus.
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// Of [B, C, L] or [B, C, H, W]: `padding` values more on each side of L, or of H and W.
OpPtr circular_pad(int64_t padding);

}  // namespace altprop
