// Bytes alive in tensors: the memory instrument.
#pragma once

#include <cstdint>

#include "altprop/tensor/tensor.h"

namespace altprop::memory {

/// Counts CPU tensor allocations from now on, by putting a counting allocator before libtorch's. Tensors made earlier are not counted.
/// Call once, early. Thread-safe.
void install();

/// Bytes alive now in tensors on this device.
int64_t alive(at::Device device);
/// Most bytes alive at once since the last reset.
int64_t peak(at::Device device);
/// Starts a new measurement: the peak becomes what is alive now.
void reset_peak(at::Device device);

}  // namespace altprop::memory
