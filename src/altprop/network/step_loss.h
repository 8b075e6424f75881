// Losses of sequences with a target at every step.
#pragma once

#include "altprop/network/loss.h"

namespace altprop {

/// A loss of rows [B, C] that also takes outputs [B, T, C] with class numbers [B, T] or values
/// [B, T, C]: of each sequence the mean over the steps that have a target (number >= 0). Everything
/// else is passed on.
std::unique_ptr<Loss> over_steps(std::unique_ptr<Loss> rows);

/// True for an output [B, T, C] with class numbers [B, T] or values [B, T, C].
bool has_steps(const Tensor& output, const Tensor& target);
/// [B, T]: 1 / (number of a sequence's targets) at its targets, 0 elsewhere; of values, which every
/// step has, 1 / T.
Tensor step_weights(const Tensor& target, at::TensorOptions options);

}  // namespace altprop
