// Losses and right answers of sequences with a target at every step.
#pragma once

#include "altprop/network/loss.h"

namespace altprop {

/// A loss of rows [B, C] that also takes outputs [B, T, C] with class numbers [B, T]: of each
/// sequence the mean over the steps that have a target (number >= 0). Everything else is passed on.
std::unique_ptr<Loss> over_steps(std::unique_ptr<Loss> rows);

/// Sum over samples of the fraction of their targets that are right (largest output); for one
/// target per sample, the number of right ones.
double right_answers(const Tensor& output, const Tensor& target);
/// The same as a float64 tensor without dimensions on the output's device, which is not waited for.
Tensor right_answers_there(const Tensor& output, const Tensor& target);

}  // namespace altprop
