// The tensor type and the few ATen names that the whole library uses.
#pragma once

#include <ATen/ATen.h>

#include <string>

namespace altprop {

using at::Tensor;
using c10::IntArrayRef;

/// "[64, 3, 32, 32]", for error sentences.
std::string shape_text(IntArrayRef shape);

}  // namespace altprop
