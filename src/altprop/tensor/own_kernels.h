// Where own kernels may take the place of libtorch's operations.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// While one lives, this thread's work is done by libtorch's operations alone, as it is on devices
/// other than the CPU.
class LibraryOnly {
 public:
  LibraryOnly() { ++wanting(); }
  ~LibraryOnly() { --wanting(); }
  LibraryOnly(const LibraryOnly&) = delete;
  LibraryOnly& operator=(const LibraryOnly&) = delete;
  static bool wanted() { return wanting() > 0; }

 private:
  static int& wanting() {
    thread_local int number = 0;
    return number;
  }
};

/// Own kernels may read and write the numbers of this tensor.
inline bool own_kernels_reach(const Tensor& t) {
  return t.device().is_cpu() && !LibraryOnly::wanted();
}

}  // namespace altprop
