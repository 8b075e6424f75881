// Looking at gradients without disturbing a training step.
#pragma once

#include <vector>

#include "altprop/network/graph.h"

namespace altprop {

/// While it lives, signals accumulate into fresh tensors instead of the parameters' own gradients; these come back untouched at the end.
class GradientCapture {
 public:
  explicit GradientCapture(std::vector<ParamPtr> params);
  ~GradientCapture();
  GradientCapture(const GradientCapture&) = delete;
  GradientCapture& operator=(const GradientCapture&) = delete;

  /// What has arrived so far, in the order of the parameters; undefined where no signal came.
  std::vector<Tensor> gradients() const;

 private:
  struct Kept {
    ParamPtr param;
    Tensor grad;
    bool fresh;
    double keep;
  };
  std::vector<Kept> kept_;
};

/// Puts running statistics and other buffers back at the end of its life: a probe's training-mode forward pass leaves no trace.
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
