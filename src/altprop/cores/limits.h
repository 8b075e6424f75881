// What a core of the hardware can hold: TrueNorth as S. Esser, R. Appuswamy, P. Merolla, J. Arthur,
// D. Modha, "Backpropagation for Energy-Efficient Neuromorphic Computing", NIPS 2015, use it.
#pragma once

#include <cstdint>

namespace altprop::cores {

inline constexpr int64_t kMostAxons = 256;     ///< inputs of a core
inline constexpr int64_t kMostNeurons = 256;   ///< outputs of a core
inline constexpr int64_t kAxonTypes = 4;       ///< a neuron has one strength for each
inline constexpr int64_t kMostLeak = 255;      ///< of either sign
inline constexpr int64_t kMostStrength = 255;  ///< of either sign

}  // namespace altprop::cores
