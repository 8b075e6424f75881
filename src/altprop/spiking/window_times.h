// What a layer with a falling threshold does beside its products (spiking/window.h), each in one
// pass over memory. On the CPU, float32 and float64, by own kernels (OwnKernel::SpikeEvents);
// elsewhere, and where they are off, by libtorch's operations.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop::spiking {

struct WindowTimes {
  Tensor times;      ///< 0 to T, +inf: never
  Tensor by_times;   ///< dt/dI, within +-clamp; 0 unless 0 < t < T
  Tensor by_spikes;  ///< dt/dS, likewise
};

/// @param sums [2B, ...]: S of B samples, the sums of the weights of inputs that fire, then I,
/// those of
///             weight times time
WindowTimes window_times(const Tensor& sums, double window, double clamp);

/// [B, ...] times as [2B, ...]: which of them are spikes, 1 or 0, then the times, 0 where silent.
Tensor spikes_and_times(const Tensor& times);

/// [B, ...] credits of times as [2B, ...]: those of S, then those of I; 0 where a time has no
/// derivative, whatever its credit.
Tensor sums_credit(const Tensor& cot, const Tensor& by_spikes, const Tensor& by_times);

}  // namespace altprop::spiking
