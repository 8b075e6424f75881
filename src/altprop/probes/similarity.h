// Angle and magnitude between two tensors, in float64.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// Direction and size are always reported together: a scale error leaves the cosine at 1.
struct Similarity {
  double cosine;           ///< NaN if either norm is below 1e-30; no epsilon, which would fake "no alignment" for tiny gradients
  double angle_degrees;
  double magnitude_ratio;  ///< |a| / |b|
  double relative_error;   ///< |a - b| / |b|
  double norm;             ///< |a|
};

/// @param a what is judged, @param b the reference, of the same shape; undefined counts as zero
Similarity similarity(const Tensor& a, const Tensor& b);

}  // namespace altprop
