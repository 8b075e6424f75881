// The negative log likelihood of samples under a normalising flow.
#pragma once

#include "altprop/network/loss.h"

namespace altprop {

/// Of an output (z, l) [B, d + 1], where z is what a flow has made of a sample and l the change of
/// its log density on the way: -log N(z; 0, I) + l, in nats. Divided by d ln 2 it is bits per
/// dimension. It looks at no target; data with values as targets are refused, since these would be
/// left unseen, and class numbers, which image sets have anyway, are not.
/// (R. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud 2018, arXiv 1806.07366, section 4.)
std::unique_ptr<Loss> make_likelihood();

}  // namespace altprop
