// Spikes that come from outside: what values in [0, 1] become in each tick, drawn for 64 members at
// once.
//
// A spike is drawn by 16 random bits: it is there where they are, as a number, below 65536 times
// its probability. The bits of one place are a word for 64 members, whose comparison with a
// constant is 16 logical operations. Draws belong to (seed, member, tick, image, input), and to
// nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "altprop/tensor/random.h"

namespace altprop::cores {

constexpr int64_t kMembersAtOnce = 64;
constexpr int kSpikePlanes = 16;
constexpr int32_t kCertain = 1 << kSpikePlanes;

/// What a value v becomes in tick t of T.
enum class Encoding {
  Bernoulli,  ///< a spike with probability v, in each tick anew (Esser et al. 2015)
  Threshold,  ///< a spike in each tick where v > 1/2
  Rate,       ///< the whole of v T spikes, rounded, spread evenly
  Burst,      ///< the same spikes, in the first ticks
  Time,       ///< one spike, the sooner the larger v is; none of 0
};
const std::vector<std::string>& encoding_names();

/// Chances of a spike in units of 1/65536, int32 of the values' shape.
/// @throws UsageError for values outside of [0, 1], or NaN
Tensor chances(const Tensor& values, Encoding encoding, int64_t tick, int64_t ticks);

/// Key of the spikes that members 64 * block .. 64 * block + 63 see in a tick.
uint64_t spike_key(uint64_t seed, int64_t block, int64_t tick);

/// Spikes of all inputs of one image: bit m of words[i] is input i's of member m of the block.
/// @param chance of each input, 0 to 65536
void draw_spikes(uint64_t key, int64_t image, const int32_t* chance, int64_t inputs,
                 uint64_t* words);

/// The same for one input and one member, written out bit by bit: what the above is tested against.
bool spike_written_out(uint64_t key, int64_t image, int64_t input, int32_t chance, int64_t member);

}  // namespace altprop::cores
