// Units whose potential is a sum of ramps, and the time at which it first reaches a threshold.
//
//   V_j(t) = sum_i W_ji max(0, t - t_i),   t_j = the first t with V_j(t) = theta_j, else +inf
//
// With C_j = {i : t_i < t_j} and the slope A_j = sum_{C_j} W_ji > 0,
//
//   dt_j/dW_ji = (t_i - t_j) / A_j,   dt_j/dt_i = W_ji / A_j,   dt_j/dtheta_j = 1 / A_j,   i in C_j
//
// M. Zhang et al. 2020, arXiv 2003.11837 ("rectified linear postsynaptic potential"). Input spikes
// are visited in the order of time, so that nothing depends on a step size, only what comes before
// the output spike is looked at, and the first crossing is found where inhibition makes several.
// For the derivatives times and slopes are all that is kept.
//
// On the CPU, float32 and float64, an own kernel (OwnKernel::SpikeEvents); elsewhere, and where it
// is off, libtorch's operations.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop::spiking {

/// Both [R, n_out], of R rows (samples, or positions of a convolution).
struct Crossings {
  Tensor times;   ///< +inf: never
  Tensor slopes;  ///< of the potential at the crossing; 0 of a unit that never fires
};

/// @param arrivals   [R, n_in], +inf: never; a row with NaN or -inf in it has no order, and all of
///                   its outputs are NaN
/// @param weight     [n_out, n_in]; where an infinite weight would have made a unit fire, it is NaN
/// @param thresholds [n_out], positive
Crossings first_crossings(const Tensor& arrivals, const Tensor& weight, const Tensor& thresholds);

/// sum_j q_j W_ji [t_i < t_j], [R, n_in]; exactly 0 of inputs that never fired or came too late.
/// @param q credit of each output's time over its slope, [R, n_out], 0 of silent ones
Tensor arrivals_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                       const Tensor& weight);

/// sum over rows of q_j (t_i - t_j) [t_i < t_j], as [n_out, n_in] with the strides of its
/// transpose.
Tensor weight_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q);

/// Spikes of each row as a list, in which an input may come any number of times: what an event
/// camera delivers. Each is a ramp of its own in the sums above.
struct SpikeLists {
  Tensor times;   ///< [R, most], ascending in each row; +inf behind a row's last spike
  Tensor inputs;  ///< int32 [R, most], the input of each, 0 to n_in - 1, behind the last one too
};

// As the functions above, with one entry for each spike in place of one for each input.

Crossings first_crossings(const SpikeLists& spikes, const Tensor& weight, const Tensor& thresholds);
/// By spike, [R, most].
Tensor arrivals_credit(const SpikeLists& spikes, const Tensor& times, const Tensor& q,
                       const Tensor& weight);
/// By weight, [n_out, inputs], summed over the spikes of an input.
Tensor weight_credit(const SpikeLists& spikes, const Tensor& times, const Tensor& q,
                     int64_t inputs);

}  // namespace altprop::spiking
