// How much smaller or larger credit becomes on its way through blocks whose theory says so.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "altprop/network/graph.h"
#include "altprop/network/loss.h"
#include "altprop/weight_flow/ode_to_ode.h"

namespace altprop {

/// |credit of the input| / |credit of the output| of one block, by backprop, over the samples whose
/// credit is not 0.
struct CreditGrowth {
  std::string name;
  double least = 0, most = 0;
  std::optional<weight_flow::CreditBounds> bounds;  ///< none where theory has none

  /// What is wrong, in a sentence, where a ratio is outside of its bounds by more than rounding; ""
  /// else.
  std::string problem() const;
};

/// Of all ODEtoODE operations of a network, in the order of its sites. Changes nothing.
/// @param in circumstances of the forward pass
std::vector<CreditGrowth> credit_growth(const Graph& net, const Loss& loss, const Tensor& inputs,
                                        const Tensor& targets, const Pass& in);

}  // namespace altprop
