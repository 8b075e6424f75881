// Two layers that settle together, a wide one that inputs drive and a narrow one that it drives in
// turn: all steps of a phase in one call, in which a pair of rows stays in the nearest cache and
// the weights are read once a step. By single calls (tensor/settle.h) every step reads and writes
// the states of all rows, which are far larger than that cache.
#pragma once

#include "altprop/tensor/settle.h"

namespace altprop {

/// A step, h being the wide layer [rows, n] and o the narrow one [rows, k]:
///
///   o <- narrow_sigma(share (h weight^T + bias - push (o - target)) + keep_narrow o)
///   h <- wide_sigma(share (drive + o back) + keep_wide h)
struct SettlingPair {
  Tensor wide, narrow;  ///< states, in place
  Tensor drive;         ///< [rows, n], of the wide layer by inputs
  Tensor weight, back;  ///< [k, n]; the same with tied weights
  Tensor bias;          ///< [k] or undefined
  Squash wide_sigma, narrow_sigma;
  double share = 1, keep_wide = 0, keep_narrow = 0;
  bool at_once = false;  ///< h takes the old o, not the new one
  Tensor target, push;   ///< [rows, k], [rows, 1]; undefined: nothing pushes
};

/// True if settle_pair may be called: an AVX-512 processor, float32 on the CPU, rows without gaps,
/// a dozen narrow units at most, and nobody who wants to see single products (WholeBatches).
bool settle_pair_fits(const SettlingPair& pair);

/// Takes `steps` steps, at least one. @returns the largest |move| of a unit in the last one, NaN
/// if one is NaN
double settle_pair(const SettlingPair& pair, int64_t steps);

}  // namespace altprop
