// Small operations on the states of settling networks.
#pragma once

#include "altprop/rules/relaxation/relax.h"

namespace altprop {

/// sum + part in a tensor of its own; an undefined one is nothing.
void add_to(Tensor& sum, const Tensor& part);
/// Largest magnitude in all tensors that are defined.
double largest(const Field& field);
/// [rows, ...] as [rows, n].
Tensor flat_rows(const Tensor& t);
/// The rows of `t` so many times, one block behind the other, in its memory format.
Tensor repeated(const Tensor& t, int64_t times);

}  // namespace altprop
