// Counter-based random streams (Philox4x32-10; Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). A stream is a key, not a state: the draw for (seed,
// purpose, operation, step, sample) can be made at any time, in any order, on any number of threads
// and on any device, and is always the same. So a run can be resumed at any step without saving a
// generator, and drawing for one purpose never disturbs another.
//
//   Stream run(seed);
//   Tensor w = run.at("init").at("fc1").normal({300, 784});
//   Tensor mask = run.at("dropout").at(step).bernoulli_rows(0.5, {ids}, x.sizes());
//
// All draws are made in float32 and converted, so that a float64 run starts from the same numbers
// as a float32 run.
#pragma once

#include <cstdint>
#include <string_view>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// Whose random numbers the rows of a batch draw.
struct RowIds {
  Tensor ids = {};  ///< int64 [B], any integers, on any device: numbers of the samples. Undefined:
                    ///< the rows' places
  int64_t first_row = 0;  ///< place of the first row where the batch is a part of a larger one;
                          ///< counts only without ids
};

class Stream {
 public:
  explicit Stream(uint64_t seed = 0);

  /// The sub-stream of a purpose or name, of a step, of a sample: independent of its parent and siblings.
  Stream at(std::string_view purpose) const;
  Stream at(int64_t index) const;

  uint64_t key() const { return key_; }

  /// Uniform in [0, 1), 24 random bits each. Float32 on the CPU unless `options` say otherwise.
  Tensor uniform(IntArrayRef shape, at::TensorOptions options = at::kFloat) const;
  /// Uniform in [low, high).
  Tensor uniform(double low, double high, IntArrayRef shape, at::TensorOptions options = at::kFloat) const;
  /// Refills a tensor with what uniform(low, high, ...) draws; a contiguous float32 CPU tensor without allocating and in
  /// one pass.
  void uniform_into(Tensor& out, double low, double high) const;
  /// Standard normal (inverse distribution function of a 24-bit uniform; |x| < 5.5).
  Tensor normal(IntArrayRef shape, at::TensorOptions options = at::kFloat) const;
  /// Refills a contiguous float32 CPU tensor with standard normals, without allocating.
  void normal_into(Tensor& out) const;
  /// 1 with probability p, else 0.
  Tensor bernoulli(double p, IntArrayRef shape, at::TensorOptions options = at::kFloat) const;
  /// Draws that belong to samples: row b of [B, ...] depends on this stream and on its sample's
  /// number i (ids[b], or first_row + b without ids) and on nothing else. So a sample draws the
  /// same wherever it stands in a batch, with whomever, in the whole or in a part, and if it comes
  /// twice, the same twice; other samples draw independently.
  ///
  /// Each sample has a sub-stream in the upper half of Philox's counter: the row's numbers 4 q to 4
  /// q + 3 are the words of block (q, i), both as unsigned 64-bit integers, under the key of
  /// at("rows"). They are not those of at(i), which come in tiles of 64: where a sample has ten,
  /// most would be drawn in vain. One pass over all rows, on the CPU.
  /// @throws UsageError if the ids are no integers or not as many as rows
  Tensor uniform_rows(const RowIds& rows, IntArrayRef shape,
                      at::TensorOptions options = at::kFloat) const;
  Tensor normal_rows(const RowIds& rows, IntArrayRef shape,
                     at::TensorOptions options = at::kFloat) const;
  Tensor bernoulli_rows(double p, const RowIds& rows, IntArrayRef shape,
                        at::TensorOptions options = at::kFloat) const;
  /// A uniformly random permutation of 0..n-1 (int64, CPU).
  Tensor permutation(int64_t n) const;

  /// The i-th single draw: 64 random bits, a uniform in [0, 1), an integer in [0, n).
  uint64_t bits(uint64_t i) const;
  double uniform_at(uint64_t i) const;
  int64_t integer_at(uint64_t i, int64_t n) const;

 private:
  struct FromKey {};
  Stream(FromKey, uint64_t key) : key_(key) {}
  uint64_t key_;
};

}  // namespace altprop
