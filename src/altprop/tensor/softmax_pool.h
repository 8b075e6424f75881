// Pooling by a softmax-weighted mean of each window, for real and complex (planar) images:
//
//   out = sum_j p_j v_j,   p = softmax(v / T),   dout/dv_j = p_j (1 + (v_j - out) / T)
//
// T -> 0 is max pooling, T -> infinity average pooling; both in between and analytic. Laborieux &
// Zenke 2022, arXiv 2209.00530.
#pragma once

#include "altprop/tensor/planar.h"

namespace altprop {

struct SoftmaxPooled {
  Tensor out;    ///< [rows, C, H / k, W / k]
  Tensor slope;  ///< dout/dv, of the input's shape; 0 in the remainder at the far border
};

/// @param x [rows, C, H, W]; windows k x k side by side
SoftmaxPooled softmax_pool(const Tensor& x, const PlanarRows& rows, int64_t k, double temperature);

/// slope times the cotangent of each entry's window; a complex product, without conjugation, in
/// complex rows. @param cot [rows, C, H / k, W / k]
Tensor softmax_pool_pull(const Tensor& slope, const Tensor& cot, const PlanarRows& rows, int64_t k);

/// The sum over each window of slope times tangent.
Tensor softmax_pool_push(const Tensor& slope, const Tensor& tangent, int64_t k);

}  // namespace altprop
