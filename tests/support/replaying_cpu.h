// A device that records work and plays it again, as CUDA graphs do, on the CPU: while it records it
// changes nothing, it repeats operations of libtorch with the memory that they had and knows of
// nothing else, and reading a number back is an error.
#pragma once

#include <ATen/Tensor.h>

#include <cstdint>

namespace altprop::test {

/// While one lives, this process's CPU is such a device.
class ReplayingCpu {
 public:
  ReplayingCpu();
  ~ReplayingCpu();
  ReplayingCpu(const ReplayingCpu&) = delete;
  ReplayingCpu& operator=(const ReplayingCpu&) = delete;

  static int64_t replays();  ///< since the last one was made
  static int64_t recordings();
};

}  // namespace altprop::test
