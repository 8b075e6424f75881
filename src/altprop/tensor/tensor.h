// The tensor type and the few ATen names that the whole library uses.
#pragma once

#include <ATen/ATen.h>

#include <string>

namespace altprop {

using at::Tensor;
using c10::IntArrayRef;

/// "[64, 3, 32, 32]", for error sentences.
std::string shape_text(IntArrayRef shape);

/// Tells autograd that the numbers of `t` have changed, as libtorch's own operations do: whoever
/// writes through data pointers says so, because tapes compare versions.
inline void mark_written(const Tensor& t) {
  if (!t.is_inference()) t.unsafeGetTensorImpl()->bump_version();
}

}  // namespace altprop
