// The backend's fast linear path: matrix products of the sizes that training uses.
#pragma once

#include <optional>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// Activations that the linear path can apply to its result while it is in the cache. NaN and
/// infinity reach the result as in the library's operations of their own.
enum class Epilogue { None, Relu, Tanh, Sigmoid };

/// epilogue(x w^T + bias): x [B, n_in], w [n_out, n_in], bias [n_out] or undefined.
Tensor linear_forward(const Tensor& x, const Tensor& w, const Tensor& bias,
                      Epilogue epilogue = Epilogue::None);

/// a b for matrices [n, k] and [k, m]; strided views are fine.
Tensor gemm(const Tensor& a, const Tensor& b);

/// out = beta * out + alpha * a b, in place; beta 0 overwrites whatever out held.
void gemm_into(Tensor& out, const Tensor& a, const Tensor& b, double beta, double alpha);

/// Which library multiplies float32 matrices on the CPU. The choice is made from a table of
/// processors, or by ALTPROP_LINEAR_BACKEND (aten, onednn), never from timings, so that a resumed
/// run takes the same kernels; it is recorded in checkpoints.
enum class LinearBackend { Aten, OneDnn };
/// @throws UsageError if the variable names another, or oneDNN where there is none
LinearBackend linear_backend();
/// @throws UsageError if oneDNN is asked for and this libtorch does not offer it
void set_linear_backend(LinearBackend backend);
bool onednn_available();

}  // namespace altprop
