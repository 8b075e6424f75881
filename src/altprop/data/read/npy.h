// NPY, NumPy's array file (numpy.lib.format), versions 1 to 3.
#pragma once

#include <string>

#include "altprop/tensor/tensor.h"

namespace altprop::data {

/// bool, u1, i1, i2, i4, i8, f4 or f8 as bool, uint8, int8, int16, int32, int64, float32, float64;
/// u2 as int32, u4 and u8 as int64, f2 as float32, which hold the same numbers. Either byte order;
/// contiguous, Fortran order is rearranged. The file may be gzip-compressed.
/// @throws Error naming the file, also for values of u8 that int64 does not hold
Tensor read_npy(const std::string& path);

}  // namespace altprop::data
