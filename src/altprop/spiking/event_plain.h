// What event_kernel.h computes, in libtorch's operations: the form that the own kernel is tested
// against and that other devices take, with what it has no kernel for: tangents, and a delay of
// each synapse, t_i + d_ji in place of t_i.
#pragma once

#include "altprop/spiking/event_kernel.h"

namespace altprop::spiking::plain {

/// As the function of that name in event_kernel.h.
/// @param delays [n_out, n_in], or undefined: none
Crossings first_crossings(const Tensor& arrivals, const Tensor& weight, const Tensor& thresholds,
                          const Tensor& delays = {});
Crossings first_crossings(const SpikeLists& spikes, const Tensor& weight, const Tensor& thresholds);
Tensor arrivals_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                       const Tensor& weight, const Tensor& delays = {});
Tensor arrivals_credit(const SpikeLists& spikes, const Tensor& times, const Tensor& q,
                       const Tensor& weight);
Tensor weight_credit(const SpikeLists& spikes, const Tensor& times, const Tensor& q,
                     int64_t inputs);
/// @param q credit over slope, [R, n_out] @returns [n_out, n_in]
Tensor weight_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                     const Tensor& delays = {});
/// sum over rows of q_j W_ji [t_i + d_ji < t_j], [n_out, n_in].
Tensor delay_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                    const Tensor& weight, const Tensor& delays);

/// sum_i [t_i < t_j] W_ji tangent_i, [R, n_out]: times 1 / slope, the tangent of the times.
/// @param tangent [R, n_in]
Tensor arrivals_tangent(const Tensor& arrivals, const Tensor& times, const Tensor& weight,
                        const Tensor& tangent, const Tensor& delays = {});
/// sum_i [t_i < t_j] (dW_ji (t_i - t_j) + W_ji dd_ji), [R, n_out]; undefined directions do not
/// move.
Tensor parameters_tangent(const Tensor& arrivals, const Tensor& times, const Tensor& weight,
                          const Tensor& dw, const Tensor& dd, const Tensor& delays = {});

}  // namespace altprop::spiking::plain
