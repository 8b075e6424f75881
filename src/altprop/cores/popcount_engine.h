// Drawn networks by counting bits: axons are sorted by type, 64 of one type are a word, and what a
// neuron sums up is
//
//   I_j = b_j + sum over words w:  s_j[type of w] popcount(x_w & c_jw)
//
// A line of a block of members is a word, too, in which each of 64 members has a bit; words of
// axons are made of lines, and lines of words of neurons, by turning squares of 64 x 64 bits.
#pragma once

#include "altprop/cores/engine.h"
#include "altprop/cores/lines.h"

namespace altprop::cores {

class PopcountEngine final : public Engine {
 public:
  explicit PopcountEngine(const Mapping& mapping);
  void run(const Tensor& chance, const Tensor& ids, uint64_t key, Tensor& counts,
           Tensor* votes) const override;

 protected:
  void take(const Mapping& member) override;

 private:
  struct PackedCore {
    int64_t words = 0, neurons = 0, first_line = 0;
    std::vector<int64_t> lines;      ///< by bit of its words: the line that is read
    std::vector<int64_t> place;      ///< by axon: its bit
    std::vector<int32_t> strengths;  ///< [neurons, words]
    /// By class, [classes, words of neurons]: neurons that are counted for it; empty: none.
    std::vector<uint64_t> counted;

    int64_t neuron_words() const { return (neurons + 63) / 64; }
  };
  struct PackedMember {
    std::vector<std::vector<uint64_t>> synapses;  ///< by core, [neurons, words]
    std::vector<std::vector<int32_t>> leaks;      ///< by core, what a sum has to be above is -leak
  };
  void run_block(const int32_t* chance, const int64_t* ids, int64_t images, uint64_t key,
                 int64_t first, int64_t all_images, int32_t* counts, uint8_t* votes) const;

  Lines lines_;
  std::vector<PackedCore> cores_;
  std::vector<PackedMember> packed_;
  std::vector<Vote> votes_;
  int64_t classes_;
  bool fire_on_zero_;
};

/// Turns a square of bits: bit j of word i becomes bit i of word j.
void transpose_bits(uint64_t* words);

}  // namespace altprop::cores
