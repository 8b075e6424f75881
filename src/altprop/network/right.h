// When an answer is right: what losses count beside their value (Loss::right). All return the sum
// over samples as a float64 tensor without dimensions on the output's device, which is not waited
// for.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop::right {

/// The largest output is the class. @param output [B, C] @param target int64 [B]; or [B, T, C] with
/// [B, T], -1 where there is no target: then of each sequence the fraction of its targets that are
/// right.
Tensor largest(const Tensor& output, const Tensor& target);
/// The unit that fires first is the class. @param output [B, C] spike times, +inf: never; where
/// none fires nothing is right. @param target int64 [B]
Tensor earliest(const Tensor& output, const Tensor& target);
/// Output j votes for class j mod `classes`, and the class with the largest sum is right.
/// @param output [B, N] @param target int64 [B]
/// @throws UsageError if N is not a multiple of `classes`
Tensor largest_sum(const Tensor& output, const Tensor& target, int64_t classes);
/// Every value of a sample is as near to its target. @param output, target [B, ...]
/// @throws UsageError if shapes do not fit
Tensor within(const Tensor& output, const Tensor& target, double tolerance);

}  // namespace altprop::right
