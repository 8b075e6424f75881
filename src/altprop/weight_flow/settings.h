// All that a network text says about a flow of weights.
#pragma once

#include <string>
#include <vector>

#include "altprop/base/options.h"

namespace altprop::weight_flow {

struct Settings {
  std::string flow = "iso";  ///< "iso", "gated", "basis", "free", "constant"
  std::string activation = "relu";
  int64_t steps = 25;
  double end = 1;                ///< T
  std::string solver = "euler";  ///< "euler", "midpoint"

  std::string retraction = "exp", start = "orthogonal";
  bool learn_start = true;
  double cap = 0;  ///< of |Omega|; 0: none

  int64_t gates = 4, width = 32;
  std::string sees = "weights";  ///< "weights", "time", "both"

  std::string basis = "chebyshev";
  int64_t terms = 4;

  double gain = 1;

  void declare(Options& options);
  /// Refuses options that were given and that this flow has no use for. @throws UsageError
  void check(const Options& options) const;
  /// As text, of this flow alone.
  std::string text() const;
};

}  // namespace altprop::weight_flow
