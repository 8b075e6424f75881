// What a layer of cores does between its products, each in one pass over memory: on the CPU in
// float32 by loops of its own, elsewhere by libtorch's operations. Passes over numbers of the size
// of the connections would else take as long as the products.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop::cores {

/// Products of connections and strengths: mean [N, axons] is c.s, variance [N, 2 axons] is
/// [c.s.s | -c.c.s.s].
struct CoreFactors {
  Tensor mean, variance;
};
CoreFactors core_factors(const Tensor& connections, const Tensor& strengths);

/// [x | x.x] by axon, [B, cores, 2 axons].
/// @param inputs [B, inputs] @param sources int64 [cores * axons], on the CPU; -1: silent
Tensor core_operands(const Tensor& inputs, const Tensor& sources, int64_t cores);

/// Probabilities that neurons fire, and their derivatives by mean and by variance.
struct CoreFired {
  Tensor probability, by_mean, by_variance;  ///< the last undefined if it was not asked for
};
struct FireRule {
  double shift = 0;    ///< added to the mean
  double at_zero = 0;  ///< the probability where the sum is 0 for certain
  bool by_variance = true;
};
/// @param mean [B, N] without leaks @param variance [B, N] @param leaks [N]
CoreFired core_fired(const Tensor& mean, const Tensor& variance, const Tensor& leaks,
                     const FireRule& rule);

/// s.p1 + s.s.(p2 - 2 c.p3): the gradient of the connections.
/// @param p1 [N, axons], which may be overwritten @param both [N, 2 axons], p2 beside p3
Tensor core_gradient(Tensor p1, const Tensor& both, const Tensor& connections,
                     const Tensor& strengths);

/// The same by libtorch's operations, whatever fits: what the loops are tested against.
namespace plainly {
CoreFactors core_factors(const Tensor& connections, const Tensor& strengths);
Tensor core_operands(const Tensor& inputs, const Tensor& sources, int64_t cores);
CoreFired core_fired(const Tensor& mean, const Tensor& variance, const Tensor& leaks,
                     const FireRule& rule);
Tensor core_gradient(Tensor p1, const Tensor& both, const Tensor& connections,
                     const Tensor& strengths);
}  // namespace plainly

}  // namespace altprop::cores
