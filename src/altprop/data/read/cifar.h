// The binary layout of CIFAR (A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html): records
// without a header, one or two label bytes, then the red, green and blue planes of 32x32 bytes.
#pragma once

#include <string>

#include "altprop/data/dataset.h"

namespace altprop::data {

struct CifarLayout {
  int64_t label_bytes = 1;  ///< CIFAR-10: 1; CIFAR-100: 2, coarse then fine
  int64_t label = 0;        ///< which of them is the class
  int64_t classes = 10;
  int64_t records = 10000;  ///< a file must have exactly so many
};

/// Fills inputs (uint8 [layout.records, 3, 32, 32]) and targets (int64 [layout.records]); both are
/// allocated by the caller, so that several files become one tensor without a copy. @throws Error
/// naming the file
void read_cifar(const std::string& path, const CifarLayout& layout, Tensor inputs, Tensor targets);

}  // namespace altprop::data
