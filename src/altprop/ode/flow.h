// Networks that are continuous normalising flows: what they are made of, samples, and densities.
#pragma once

#include <optional>

#include "altprop/ode/bijection.h"
#include "altprop/ode/block.h"
#include "altprop/ode/flow_field.h"

namespace altprop::ode {

/// x -> (z, l) through one or several ODE blocks, each with a flow field inside, and what may stand
/// between them.
struct Flow {
  struct Part {  ///< one of the two
    const Block* block = nullptr;
    const Bijection* map = nullptr;
  };
  int64_t width = 0;            ///< values of z
  std::vector<int64_t> sample;  ///< shape of x
  std::vector<Part> parts;      ///< in the order of the forward pass
  int64_t levels = 0;           ///< of x, where that is made continuous by noise (dequantise)

  /// A loss in nats, of continuous values in [0, 1], as bits for each of the whole numbers that they
  /// were made of: L / (d ln 2) + log2(levels). None where there are no whole numbers.
  std::optional<double> bits_per_dimension(double loss) const;
};

/// A chain of an input, a flatten where it is no vector, noise where it is of whole numbers, one
/// channel of zeros, and then blocks whose right-hand side is a flow field and nothing else, and
/// bijections. Then the last value of the output is minus the change of log density: whatever else
/// stood in between would change densities, too, and not be counted. @throws Refusal naming the first
/// operation that does not fit
Flow flow_of(const Graph& net);
/// The same, or nothing.
bool is_flow(const Graph& net);

/// Samples of the density that a flow has learnt: draws of N(0, I), integrated backwards in time
/// with the solvers and tolerances of the blocks, and rounded where x is of whole numbers. Sample i goes by its number alone, as far as the
/// solver's steps do: adaptive ones are shared by those that are integrated together.
/// @param at_once how many are integrated together
/// @returns [n, ...sample], in the units that the network was trained in
/// @throws Diverged if an integration does not end
Tensor sample(const Graph& net, int64_t n, const Stream& stream, int64_t at_once = 1000);

/// log p(x) in nats, [B], with the trace and the noise of evaluations. @param x [B, ...sample]
Tensor log_density(const Graph& net, const Tensor& x);

}  // namespace altprop::ode
