#include "altprop/cores/spikes.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/tensor/philox.h"

namespace altprop::cores {

namespace {

/// A Philox block has two words of 64 bits, so that an input takes eight.
constexpr int kBlocksOfInput = kSpikePlanes / 2;
constexpr int kInputsAtOnce = kPhiloxBlocks / kBlocksOfInput;

/// The random words of some inputs of an image: plane k of the i-th is words[i * 16 + k].
ALTPROP_VECTORISED void planes_of(uint64_t key, uint64_t image, const int64_t* inputs,
                                  uint64_t* words) {
  PhiloxBlocks blocks;
  for (int b = 0; b < kPhiloxBlocks; ++b) {
    const uint64_t counter = static_cast<uint64_t>(inputs[b / kBlocksOfInput]) * kBlocksOfInput +
                             static_cast<uint64_t>(b % kBlocksOfInput);
    blocks.c0[b] = static_cast<uint32_t>(counter);
    blocks.c1[b] = static_cast<uint32_t>(counter >> 32);
    blocks.c2[b] = static_cast<uint32_t>(image);
    blocks.c3[b] = static_cast<uint32_t>(image >> 32);
  }
  philox_rounds(key, blocks);
  for (int b = 0; b < kPhiloxBlocks; ++b) {
    words[2 * b] = blocks.c0[b] | static_cast<uint64_t>(blocks.c1[b]) << 32;
    words[2 * b + 1] = blocks.c2[b] | static_cast<uint64_t>(blocks.c3[b]) << 32;
  }
}

/// Bit m: the number whose bits are bit m of the planes, the lowest first, is below `chance`.
uint64_t below(const uint64_t* planes, int32_t chance) {
  uint64_t out = 0;
  for (int k = 0; k < kSpikePlanes; ++k)
    out = chance >> k & 1 ? out | ~planes[k] : out & ~planes[k];
  return out;
}

int64_t spikes_in_all(double value, int64_t ticks) {
  return static_cast<int64_t>(std::nearbyint(value * static_cast<double>(ticks)));
}

bool spikes_in(double v, Encoding encoding, int64_t tick, int64_t ticks) {
  const int64_t n = spikes_in_all(v, ticks);
  switch (encoding) {
    case Encoding::Rate:
      return (tick + 1) * n / ticks > tick * n / ticks;
    case Encoding::Burst:
      return tick < n;
    case Encoding::Time:
      return v > 0 && tick == spikes_in_all(1 - v, ticks - 1);
    default:
      return v > 0.5;
  }
}

}  // namespace

const std::vector<std::string>& encoding_names() {
  static const std::vector<std::string> names = {"bernoulli", "threshold", "rate", "burst", "time"};
  return names;
}

Tensor chances(const Tensor& values, Encoding encoding, int64_t tick, int64_t ticks) {
  const Tensor v = values.to(at::kCPU, at::kDouble).contiguous();
  const double* from = v.const_data_ptr<double>();
  Tensor out = at::empty(v.sizes(), at::kInt);
  int32_t* to = out.mutable_data_ptr<int32_t>();
  for (int64_t i = 0; i < v.numel(); ++i) {
    if (!(from[i] >= 0 && from[i] <= 1))
      throw UsageError(
          text::cat("cores: an input is ", from[i],
                    "; scale the data to [0, 1], as --data.normalise unit does: inputs "
                    "are spike probabilities"));
    to[i] = encoding == Encoding::Bernoulli
                ? static_cast<int32_t>(std::nearbyint(from[i] * kCertain))
            : spikes_in(from[i], encoding, tick, ticks) ? kCertain
                                                        : 0;
  }
  return out;
}

uint64_t spike_key(uint64_t seed, int64_t block, int64_t tick) {
  return Stream(seed).at("spikes").at(block).at(tick).key();
}

void draw_spikes(uint64_t key, int64_t image, const int32_t* chance, int64_t inputs,
                 uint64_t* words) {
  int64_t open[kInputsAtOnce];
  int waiting = 0;
  const auto draw = [&] {
    for (int i = waiting; i < kInputsAtOnce; ++i) open[i] = open[0];
    alignas(64) uint64_t planes[2 * kPhiloxBlocks];
    vectorised<planes_of>(key, static_cast<uint64_t>(image), open, planes);
    for (int i = 0; i < waiting; ++i)
      words[open[i]] = below(planes + i * kSpikePlanes, chance[open[i]]);
    waiting = 0;
  };
  for (int64_t i = 0; i < inputs; ++i) {
    if (chance[i] <= 0 || chance[i] >= kCertain) {  // most of an image is black
      words[i] = chance[i] > 0 ? ~uint64_t{0} : 0;
      continue;
    }
    open[waiting++] = i;
    if (waiting == kInputsAtOnce) draw();
  }
  if (waiting > 0) draw();
}

bool spike_written_out(uint64_t key, int64_t image, int64_t input, int32_t chance, int64_t member) {
  int32_t number = 0;
  for (int k = 0; k < kSpikePlanes; ++k) {
    const uint64_t counter = static_cast<uint64_t>(input * kBlocksOfInput + k / 2);
    PhiloxBlocks blocks{};
    blocks.c0[0] = static_cast<uint32_t>(counter);
    blocks.c1[0] = static_cast<uint32_t>(counter >> 32);
    blocks.c2[0] = static_cast<uint32_t>(static_cast<uint64_t>(image));
    blocks.c3[0] = static_cast<uint32_t>(static_cast<uint64_t>(image) >> 32);
    philox_rounds(key, blocks);
    const uint32_t words[] = {blocks.c0[0], blocks.c1[0], blocks.c2[0], blocks.c3[0]};
    const uint32_t word = words[2 * (k % 2) + member / 32];
    number |= static_cast<int32_t>(word >> member % 32 & 1) << k;
  }
  return number < chance;
}

}  // namespace altprop::cores
