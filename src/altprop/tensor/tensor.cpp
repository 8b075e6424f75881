#include "altprop/tensor/tensor.h"

namespace altprop {

std::string shape_text(IntArrayRef shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

}  // namespace altprop
