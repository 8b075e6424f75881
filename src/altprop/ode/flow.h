// Networks that are continuous normalising flows: what they are made of, samples, and densities.
#pragma once

#include "altprop/ode/block.h"
#include "altprop/ode/flow_field.h"

namespace altprop::ode {

/// x -> (z(T), l(T)) through one or several ODE blocks, each with a flow field inside.
struct Flow {
  int64_t width = 0;                 ///< d, values of a sample
  std::vector<int64_t> sample;       ///< their shape in x
  std::vector<const Block*> blocks;  ///< in the order of the forward pass
};

/// A chain of an input, a flatten where it is no vector, one channel of zeros, and blocks whose
/// right-hand side is a flow field and nothing else. Then the last value of the output is minus the
/// change of log density: whatever else stood in between would change densities, too, and not be
/// counted. @throws Refusal naming the first operation that does not fit
Flow flow_of(const Graph& net);
/// The same, or nothing.
bool is_flow(const Graph& net);

/// Samples of the density that a flow has learnt: draws of N(0, I), integrated backwards in time
/// with the solvers and tolerances of the blocks. Sample i goes by its number alone, as far as the
/// solver's steps do: adaptive ones are shared by those that are integrated together.
/// @param at_once how many are integrated together
/// @returns [n, ...sample], in the units that the network was trained in
/// @throws Diverged if an integration does not end
Tensor sample(const Graph& net, int64_t n, const Stream& stream, int64_t at_once = 1000);

/// log p(x) in nats, [B], with the exact trace. @param x [B, ...sample]
Tensor log_density(const Graph& net, const Tensor& x);

}  // namespace altprop::ode
