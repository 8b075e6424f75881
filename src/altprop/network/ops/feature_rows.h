// Rows of weights that have one number for each feature (Op::rows).
#pragma once

#include "altprop/network/op.h"

namespace altprop {

/// @param inputs, credits [B, positions, features]
inline WeightRows feature_rows(const Tensor& inputs, const Tensor& credits) {
  WeightRows out{inputs.size(0), inputs.size(1)};
  out.elementwise = true;
  out.of = [=](int64_t from, int64_t to) {
    return std::pair(inputs.narrow(0, from, to - from).flatten(0, 1),
                     credits.narrow(0, from, to - from).flatten(0, 1));
  };
  return out;
}

/// [B, C, ...] as [B, positions, C].
inline Tensor channels_last_rows(const Tensor& x) {
  return (x.dim() > 2 ? x.flatten(2) : x.unsqueeze(2)).transpose(1, 2);
}

/// [B, ..., features of this shape] as [B, positions, features].
inline Tensor last_feature_rows(const Tensor& x, int64_t features) {
  return x.reshape({x.size(0), x.numel() / std::max<int64_t>(1, x.size(0) * features), features});
}

}  // namespace altprop
