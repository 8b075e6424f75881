// Exponentials of skew matrices, which are rotations, and how they move with their argument.
//
// libtorch's matrix_exp is not used: up to 2.13 it is wrong by up to 8e-4 |A|^5 on a single matrix
// of a small norm, which is what a step of a flow is.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop::weight_flow {

/// (m - m^T) / 2, m [d, d].
Tensor skew_part(const Tensor& m);

/// How many digits of a result have to be right, whatever the type it is computed in.
enum class Digits { OfFloat, OfDouble };
Digits digits_of(at::ScalarType type);

/// A rotation, and an upper bound on the largest of its angles, in rad: on the norm of its
/// generator.
struct Rotation {
  Tensor matrix;
  double angle;
};

/// exp(a) of a skew matrix a [d, d], float32 or float64: in closed form for d = 2 and 3, else
/// Taylor's series of a / 2^s, squared s times.
Rotation skew_exp(const Tensor& a, Digits digits);
inline Tensor skew_exp(const Tensor& a) { return skew_exp(a, digits_of(a.scalar_type())).matrix; }

/// The derivative of exp at `a`, seen from exp(a): for a skew direction D
///     exp(a)^T d/de exp(a + e D) = int_0^1 e^{-sa} D e^{sa} ds = sum_k (-ad_a)^k D / (k+1)!
/// with ad_a D = a D - D a. Skew again. @param angle of exp(a), see Rotation
Tensor exp_push(const Tensor& a, double angle, const Tensor& direction);

/// Its transpose: what a covector K on the rotations, seen from exp(a), is on their generators.
///     sum_k ad_a^k K / (k+1)!
/// @param covector skew: for a gradient G of a loss by the entries of exp(a), skew_part(exp(a)^T G)
Tensor exp_pull(const Tensor& a, double angle, const Tensor& covector);

}  // namespace altprop::weight_flow
