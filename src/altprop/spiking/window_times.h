// What a layer with a falling threshold makes of its two sums (spiking/window.h).
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop::spiking {

struct WindowTimes {
  Tensor times;      ///< 0 to T, +inf: never
  Tensor by_times;   ///< dt/dI, within +-clamp; 0 unless 0 < t < T
  Tensor by_spikes;  ///< dt/dS, likewise
};

/// @param s sum of the weights of the inputs that fire, any shape
/// @param i the same of weight times time
WindowTimes window_times(const Tensor& s, const Tensor& i, double window, double clamp);

}  // namespace altprop::spiking
