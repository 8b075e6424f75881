// Passes over the rows of a batch that a library does in two or three: at batch 64 a hidden layer's
// activity is small, and what a pass costs is the call and the trip through memory.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// x + bias in every row, and max(., 0) of it if `relu`, in place. @param x [rows, n], bias [n]
void add_bias_(Tensor& x, const Tensor& bias, bool relu);

/// out = keep * out + scale * (sum of the rows of `matrix`); keep 0 overwrites whatever out held.
/// @param out [n], matrix [rows, n]
void add_rows_into(Tensor& out, const Tensor& matrix, double keep, double scale);

/// Row i of out <- row ids[i] of the table, or zeros where ids[i] is negative. CPU tensors, one
/// type.
/// @param out [n, width] contiguous, table [rows, width], ids n numbers below `rows`
void copy_rows_at(Tensor& out, const Tensor& table, const int64_t* ids);

/// Row ids[i] of the table += scale * row i of `rows`; negative ids are left out. Serial, in the
/// order of the rows. CPU tensors, contiguous, one floating type.
void add_rows_at(Tensor& table, const Tensor& rows, const int64_t* ids, double scale);

}  // namespace altprop
