// All gradient methods of a network's ODE blocks side by side: how exact they are and what they cost.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "altprop/network/objective.h"
#include "altprop/ode/block.h"

namespace altprop {

struct OdeGradientRow {
  std::string method;
  std::string refused;  ///< why the network's solvers have no such method; then nothing else is set
  /// L2 distance to what reverse-mode differentiation of the unrolled solver gives (naive), over the
  /// latter's norm: of all parameters together, and of the credit of the network's first input (NaN
  /// where that has none).
  double gradient_error = 0, input_error = 0;
  int64_t peak_bytes = 0;  ///< most alive at once in forward and reverse pass, above what was before
  double seconds = 0;      ///< of both, the best of several
  ode::Costs forward, backward;  ///< of all ODE blocks in one pass
};

/// One row for each method, naive first, by backprop on this batch. Changes nothing.
/// @param in  circumstances of the forward passes @param checkpoints, graph_stages of binomial and
/// of symplectic; 0: their own, and a row with half of the stages' graphs
std::vector<OdeGradientRow> compare_ode_gradients(Graph& net, const std::vector<Tensor>& inputs,
                                                  const Objective& objective, const Pass& in,
                                                  int64_t checkpoints, int64_t graph_stages,
                                                  const ode::AdjointSteps& adjoint = {});

/// Aligned columns.
std::string ode_gradient_table(const std::vector<OdeGradientRow>& rows);
nlohmann::json ode_gradient_json(const std::vector<OdeGradientRow>& rows);

}  // namespace altprop
