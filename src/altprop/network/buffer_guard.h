// Looking at a network without moving its running statistics.
#pragma once

#include <vector>

#include "altprop/network/graph.h"

namespace altprop {

/// Puts running statistics and other buffers back at the end of its life: a probe's training-mode
/// forward pass leaves no trace.
class BufferGuard {
 public:
  explicit BufferGuard(Graph& net);
  ~BufferGuard();
  BufferGuard(const BufferGuard&) = delete;
  BufferGuard& operator=(const BufferGuard&) = delete;

 private:
  std::vector<std::pair<Tensor*, Tensor>> kept_;
};

}  // namespace altprop
