#include "altprop/cores/popcount_engine.h"

#include <ATen/Parallel.h>

#include <bit>

#include "altprop/tensor/vectorised.h"

namespace altprop::cores {

namespace {

/// Images that a member's synapses are read for at once, so that they are in the nearest cache.
constexpr int64_t kImagesAtOnce = 16;

ALTPROP_VECTORISED void transpose_square(uint64_t* words) {
  uint64_t mask = 0x00000000ffffffffull;
  for (int step = 32; step != 0; step >>= 1, mask ^= mask << step)
    for (int k = 0; k < 64; k = ((k | step) + 1) & ~step) {
      const uint64_t moved = ((words[k] >> step) ^ words[k | step]) & mask;
      words[k] ^= moved << step;
      words[k | step] ^= moved;
    }
}

/// What one member's neurons of one core fire for one image: bits of `fired`.
struct CorePass {
  const uint64_t* synapses;  ///< [neurons, words]
  const int32_t* strengths;  ///< [neurons, words]
  const int32_t* leaks;      ///< one more than they are where neurons fire at 0
  int64_t neurons, words;
};

/// A core that is full has four words, one for each type.
ALTPROP_VECTORISED void fire(const CorePass* pass, const uint64_t* spikes, uint64_t* fired) {
  const uint64_t* c = pass->synapses;
  const int32_t* s = pass->strengths;
  const int64_t words = pass->words;
  for (int64_t from = 0; from < pass->neurons; from += 64) {
    const int64_t n = std::min<int64_t>(64, pass->neurons - from);
    uint64_t bits = 0;
    if (words == 4) {
      const uint64_t x0 = spikes[0], x1 = spikes[1], x2 = spikes[2], x3 = spikes[3];
      for (int64_t j = 0; j < n; ++j, c += 4, s += 4) {
        const int32_t sum = pass->leaks[from + j] + s[0] * std::popcount(x0 & c[0]) +
                            s[1] * std::popcount(x1 & c[1]) + s[2] * std::popcount(x2 & c[2]) +
                            s[3] * std::popcount(x3 & c[3]);
        bits |= static_cast<uint64_t>(sum > 0) << j;
      }
    } else {
      for (int64_t j = 0; j < n; ++j, c += words, s += words) {
        int32_t sum = pass->leaks[from + j];
        for (int64_t w = 0; w < words; ++w) sum += s[w] * std::popcount(spikes[w] & c[w]);
        bits |= static_cast<uint64_t>(sum > 0) << j;
      }
    }
    *fired++ = bits;
  }
}

ALTPROP_VECTORISED void count_votes(const uint64_t* fired, const uint64_t* counted, int64_t words,
                                    int64_t classes, int32_t* counts) {
  for (int64_t k = 0; k < classes; ++k, counted += words)
    for (int64_t w = 0; w < words; ++w)
      counts[k] += static_cast<int32_t>(std::popcount(fired[w] & counted[w]));
}

}  // namespace

void transpose_bits(uint64_t* words) { vectorised<transpose_square>(words); }

PopcountEngine::PopcountEngine(const Mapping& mapping)
    : lines_(mapping),
      votes_(mapping.votes),
      classes_(mapping.classes),
      fire_on_zero_(mapping.fire_on_zero) {
  for (size_t k = 0; k < mapping.cores.size(); ++k) {
    const MappedCore& core = mapping.cores[k];
    PackedCore packed;
    packed.neurons = core.neurons();
    packed.first_line = lines_.first[k];
    packed.place.resize(core.axons.size());
    std::vector<int> type_of_word;
    for (int type = 0; type < kAxonTypes; ++type) {
      int64_t of_type = 0;
      for (size_t i = 0; i < core.axons.size(); ++i) {
        if (core.types[i] != type) continue;
        if (of_type++ % 64 == 0) {
          type_of_word.push_back(type);
          packed.lines.resize(packed.lines.size() + 64, lines_.silent());
        }
        const size_t place = (type_of_word.size() - 1) * 64 + static_cast<size_t>(of_type - 1) % 64;
        packed.place[i] = static_cast<int64_t>(place);
        packed.lines[place] = lines_.of(core.axons[i]);
      }
    }
    packed.words = static_cast<int64_t>(type_of_word.size());
    for (const auto& table : core.strengths)
      for (const int type : type_of_word)
        packed.strengths.push_back(table[static_cast<size_t>(type)]);
    cores_.push_back(std::move(packed));
  }
  for (const Vote& vote : votes_) {
    PackedCore& core = cores_[static_cast<size_t>(vote.core)];
    core.counted.resize(static_cast<size_t>(classes_ * core.neuron_words()), 0);
    core.counted[static_cast<size_t>(vote.of_class * core.neuron_words() + vote.neuron / 64)] |=
        uint64_t{1} << vote.neuron % 64;
  }
}

void PopcountEngine::take(const Mapping& member) {
  PackedMember& packed = packed_.emplace_back();
  for (size_t k = 0; k < cores_.size(); ++k) {
    const MappedCore& core = member.cores[k];
    const float* c = core.connections.const_data_ptr<float>();
    std::vector<uint64_t>& words =
        packed.synapses.emplace_back(static_cast<size_t>(cores_[k].neurons * cores_[k].words), 0);
    for (int64_t j = 0; j < cores_[k].neurons; ++j)
      for (const int64_t place : cores_[k].place)
        if (*c++ > 0)
          words[static_cast<size_t>(j * cores_[k].words + place / 64)] |= uint64_t{1} << place % 64;
    std::vector<int32_t>& leaks = packed.leaks.emplace_back();
    for (const double leak : core.leaks)
      leaks.push_back(static_cast<int32_t>(leak) + (fire_on_zero_ ? 1 : 0));
  }
}

void PopcountEngine::run(const Tensor& chance, const Tensor& ids, uint64_t key, Tensor& counts,
                         Tensor* votes) const {
  const int64_t images = chance.size(0), blocks = (images + kImagesAtOnce - 1) / kImagesAtOnce;
  const int32_t* chances = chance.const_data_ptr<int32_t>();
  const int64_t* numbers = ids.const_data_ptr<int64_t>();
  int32_t* to = counts.mutable_data_ptr<int32_t>();
  uint8_t* one_by_one = votes ? votes->mutable_data_ptr<uint8_t>() : nullptr;
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kImagesAtOnce;
      run_block(chances + first * lines_.inputs, numbers + first,
                std::min(kImagesAtOnce, images - first), key, first, images, to, one_by_one);
    }
  });
}

void PopcountEngine::run_block(const int32_t* chance, const int64_t* ids, int64_t images,
                               uint64_t key, int64_t first, int64_t all_images, int32_t* counts,
                               uint8_t* votes) const {
  std::vector<uint64_t> lines(static_cast<size_t>(images * lines_.all), 0);
  for (int64_t b = 0; b < images; ++b)
    draw_spikes(key, ids[b], chance + b * lines_.inputs, lines_.inputs,
                lines.data() + b * lines_.all);
  std::vector<uint64_t> spikes, fired;  // [members of 64, images, words]
  alignas(64) uint64_t square[64];
  for (size_t k = 0; k < cores_.size(); ++k) {
    const PackedCore& core = cores_[k];
    const int64_t outs = core.neuron_words();
    spikes.resize(static_cast<size_t>(64 * images * core.words));
    fired.assign(static_cast<size_t>(64 * images * outs), 0);
    for (int64_t b = 0; b < images; ++b)
      for (int64_t w = 0; w < core.words; ++w) {
        for (int64_t i = 0; i < 64; ++i)
          square[i] = lines[static_cast<size_t>(b * lines_.all +
                                                core.lines[static_cast<size_t>(w * 64 + i)])];
        transpose_bits(square);
        for (int64_t m = 0; m < members(); ++m)
          spikes[static_cast<size_t>((m * images + b) * core.words + w)] = square[m];
      }
    for (int64_t m = 0; m < members(); ++m) {
      const PackedMember& member = packed_[static_cast<size_t>(m)];
      const CorePass pass{member.synapses[k].data(), core.strengths.data(), member.leaks[k].data(),
                          core.neurons, core.words};
      for (int64_t b = 0; b < images; ++b) {
        uint64_t* out = fired.data() + (m * images + b) * outs;
        vectorised<fire>(&pass, spikes.data() + (m * images + b) * core.words, out);
        if (!core.counted.empty())
          vectorised<count_votes>(out, core.counted.data(), outs, classes_,
                                  counts + (m * all_images + first + b) * classes_);
      }
    }
    for (int64_t b = 0; b < images; ++b)
      for (int64_t w = 0; w < outs; ++w) {
        for (int64_t m = 0; m < 64; ++m)
          square[m] = fired[static_cast<size_t>((m * images + b) * outs + w)];
        transpose_bits(square);
        const int64_t n = std::min<int64_t>(64, core.neurons - w * 64);
        std::copy(square, square + n, lines.data() + b * lines_.all + core.first_line + w * 64);
      }
  }
  if (!votes) return;
  const int64_t n = static_cast<int64_t>(votes_.size());
  for (int64_t v = 0; v < n; ++v)
    for (int64_t b = 0; b < images; ++b) {
      const uint64_t line =
          lines[static_cast<size_t>(b * lines_.all + lines_.of(votes_[static_cast<size_t>(v)]))];
      for (int64_t m = 0; m < members(); ++m)
        votes[(m * all_images + first + b) * n + v] = static_cast<uint8_t>(line >> m & 1);
    }
}

}  // namespace altprop::cores
