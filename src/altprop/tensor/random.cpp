#include "altprop/tensor/random.h"

#include <ATen/Parallel.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
// The file is compiled with -ffp-contract=off, so that every instruction set gives the same bits.
#include "altprop/tensor/philox.h"

namespace altprop {

namespace {

constexpr int kBlocks = kPhiloxBlocks;
constexpr int kTile = 4 * kBlocks;  // each block gives four 32-bit words

/// Finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection with good avalanche.
uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// Words of tile `tile`: word w of block b goes to out[w * kBlocks + b].
ALTPROP_VECTORISED void philox_tile(uint64_t key, uint64_t tile, uint32_t* out) {
  PhiloxBlocks blocks;
  for (int b = 0; b < kBlocks; ++b) {
    const uint64_t counter = tile * kBlocks + b;
    blocks.c0[b] = static_cast<uint32_t>(counter);
    blocks.c1[b] = static_cast<uint32_t>(counter >> 32);
    blocks.c2[b] = 0;
    blocks.c3[b] = 0;
  }
  philox_rounds(key, blocks);
  std::memcpy(out, &blocks, sizeof blocks);
}

/// Words of any blocks, those of a block side by side: word w of block b goes to out[4 * b + w].
ALTPROP_VECTORISED void philox_blocks(uint64_t key, PhiloxBlocks& blocks,
                                      uint32_t* __restrict out) {
  philox_rounds(key, blocks);
  for (int b = 0; b < kBlocks; ++b) {
    out[4 * b] = blocks.c0[b];
    out[4 * b + 1] = blocks.c1[b];
    out[4 * b + 2] = blocks.c2[b];
    out[4 * b + 3] = blocks.c3[b];
  }
}

ALTPROP_VECTORISED void to_uniform(const uint32_t* __restrict words, float* __restrict out) {
  for (int i = 0; i < kTile; ++i)
    out[i] = static_cast<float>(static_cast<int32_t>(words[i] >> 8)) * 0x1p-24f;
}

ALTPROP_VECTORISED void to_bernoulli(const uint32_t* __restrict words, float p,
                                     float* __restrict out) {
  for (int i = 0; i < kTile; ++i)
    out[i] = static_cast<float>(static_cast<int32_t>(words[i] >> 8)) * 0x1p-24f < p ? 1.0f : 0.0f;
}

/// sqrt(2) erfinv(2u-1) with the single-precision polynomials of M. Giles, "Approximating the
/// erfinv function", GPU Computing Gems 2 (2010); the logarithm is the atanh series on the mantissa
/// in [sqrt(1/2), sqrt(2)). The tails' polynomial, for w >= 5.
inline float tail(float w) {
  const float b = std::sqrt(w) - 3.0f;
  float q = -0.000200214257f;
  q = 0.000100950558f + q * b;
  q = 0.00134934322f + q * b;
  q = -0.00367342844f + q * b;
  q = 0.00573950773f + q * b;
  q = -0.0076224613f + q * b;
  q = 0.00943887047f + q * b;
  q = 1.00167406f + q * b;
  return 2.83297682f + q * b;
}

ALTPROP_VECTORISED void to_normal(const uint32_t* __restrict words, float* __restrict out) {
  float xs[kTile], ws[kTile];
  int far = 0;
  for (int i = 0; i < kTile; ++i) {
    // x in (-1, 1), symmetric, never 0 or +-1: odd multiples of 2^-24.
    const float x =
        static_cast<float>(static_cast<int32_t>((words[i] >> 8) * 2 + 1) - (1 << 24)) * 0x1p-24f;
    const float y = (1.0f - x) * (1.0f + x);
    const int32_t bits = std::bit_cast<int32_t>(y);
    const int32_t exponent = (bits - 0x3f3504f3) >> 23;
    const float m = std::bit_cast<float>(bits - exponent * (1 << 23));
    const float s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
    const float series =
        2.0f * s * (1.0f + s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9)))));
    const float w = -(static_cast<float>(exponent) * 0.693147181f + series);
    const float a = w - 2.5f;
    float p = 2.81022636e-08f;
    p = 3.43273939e-07f + p * a;
    p = -3.5233877e-06f + p * a;
    p = -4.39150654e-06f + p * a;
    p = 0.00021858087f + p * a;
    p = -0.00125372503f + p * a;
    p = -0.00417768164f + p * a;
    p = 0.246640727f + p * a;
    p = 1.50140941f + p * a;
    out[i] = 1.41421356f * x * p;
    xs[i] = x;
    ws[i] = w;
    far |= w >= 5.0f;
  }
  if (!far) return;  // four tiles of five have nothing in the tails, and the square root is dear
  for (int i = 0; i < kTile; ++i)
    if (ws[i] >= 5.0f) out[i] = 1.41421356f * xs[i] * tail(ws[i]);
}

constexpr auto uniform_words = [](const uint32_t* words, float* out) {
  vectorised<to_uniform>(words, out);
};
constexpr auto normal_words = [](const uint32_t* words, float* out) {
  vectorised<to_normal>(words, out);
};

template <class Convert>
void fill(uint64_t key, float* out, int64_t n, Convert convert) {
  const int64_t tiles = (n + kTile - 1) / kTile;
  at::parallel_for(0, tiles, 256, [&](int64_t begin, int64_t end) {
    alignas(64) uint32_t words[kTile];
    alignas(64) float values[kTile];
    for (int64_t tile = begin; tile < end; ++tile) {
      vectorised<philox_tile>(key, static_cast<uint64_t>(tile), words);
      const int64_t left = std::min<int64_t>(kTile, n - tile * kTile);
      if (left == kTile) {
        convert(words, out + tile * kTile);
      } else {
        convert(words, values);
        std::memcpy(out + tile * kTile, values, static_cast<size_t>(left) * sizeof(float));
      }
    }
  });
}

template <class Convert>
Tensor filled(uint64_t key, IntArrayRef shape, const at::TensorOptions& options, Convert convert) {
  Tensor out = at::empty(shape, at::kFloat);
  fill(key, out.data_ptr<float>(), out.numel(), convert);
  return out.to(options.device(), options.dtype().toScalarType());
}

/// PhiloxBlocks of all rows one behind the other: block q of a row has the counter (q, id of the
/// sample) and holds the row's numbers 4 q to 4 q + 3.
template <class Convert>
void fill_rows(uint64_t key, const int64_t* ids, int64_t first_row, float* out, int64_t rows,
               int64_t width, Convert convert) {
  const int64_t of_row = (width + 3) / 4, all = rows * of_row;
  at::parallel_for(0, (all + kBlocks - 1) / kBlocks, 256, [&](int64_t begin, int64_t end) {
    PhiloxBlocks blocks{};
    alignas(64) uint32_t words[kTile];
    alignas(64) float values[kTile];
    int64_t row = begin * kBlocks / of_row, block = begin * kBlocks % of_row;
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t from = row * width + 4 * block;
      const int here = static_cast<int>(std::min<int64_t>(kBlocks, all - tile * kBlocks));
      int64_t row_of[kBlocks], block_of[kBlocks];
      for (int b = 0; b < here; ++b) {
        const uint64_t id = static_cast<uint64_t>(ids ? ids[row] : first_row + row);
        blocks.c0[b] = static_cast<uint32_t>(block);
        blocks.c1[b] = static_cast<uint32_t>(block >> 32);
        blocks.c2[b] = static_cast<uint32_t>(id);
        blocks.c3[b] = static_cast<uint32_t>(id >> 32);
        row_of[b] = row;
        block_of[b] = block;
        if (++block == of_row) {
          block = 0;
          ++row;
        }
      }
      vectorised<philox_blocks>(key, blocks, words);
      if (width % 4 == 0 && here == kBlocks) {
        convert(words, out + from);  // rows are whole blocks, so a tile has no gap
        continue;
      }
      convert(words, values);
      for (int b = 0; b < here; ++b) {
        const int64_t at = 4 * block_of[b];
        std::memcpy(out + row_of[b] * width + at, values + 4 * b,
                    static_cast<size_t>(std::min<int64_t>(4, width - at)) * sizeof(float));
      }
    }
  });
}

template <class Convert>
Tensor filled_rows(uint64_t key, const RowIds& rows, IntArrayRef shape,
                   const at::TensorOptions& options, Convert convert) {
  if (shape.empty()) throw UsageError("random numbers of samples need a shape [B, ...]");
  Tensor ids = rows.ids;
  if (ids.defined()) {
    if (!at::isIntegralType(ids.scalar_type(), false))
      throw UsageError(
          "random numbers of samples go by integers, but the samples' numbers are "
          "real");
    if (ids.dim() != 1 || ids.size(0) != shape[0])
      throw UsageError(text::cat("random numbers of ", shape[0],
                                 " samples need as many sample numbers, but these have the shape ",
                                 shape_text(ids.sizes())));
    ids = ids.to(at::kCPU, at::kLong).contiguous();
  }
  Tensor out = at::empty(shape, at::kFloat);
  if (out.numel() > 0)
    fill_rows(key, ids.defined() ? ids.const_data_ptr<int64_t>() : nullptr, rows.first_row,
              out.data_ptr<float>(), shape[0], out.numel() / shape[0], convert);
  return out.to(options.device(), options.dtype().toScalarType());
}

}  // namespace

Stream::Stream(uint64_t seed) : key_(mix(seed)) {}

Stream Stream::at(std::string_view purpose) const {
  uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
  for (unsigned char c : purpose) hash = (hash ^ c) * 0x100000001b3ull;
  return {FromKey{}, mix(key_ ^ mix(hash ^ 0x6e616d65ull))};
}

Stream Stream::at(int64_t index) const {
  return {FromKey{}, mix(mix(key_) + static_cast<uint64_t>(index))};
}

Tensor Stream::uniform(IntArrayRef shape, at::TensorOptions options) const {
  return filled(key_, shape, options, uniform_words);
}

Tensor Stream::uniform(double low, double high, IntArrayRef shape,
                       at::TensorOptions options) const {
  return uniform(shape, options).mul_(high - low).add_(low);
}

void Stream::uniform_into(Tensor& out, double low, double high) const {
  if (!out.is_contiguous() || out.scalar_type() != at::kFloat || !out.device().is_cpu()) {
    out.copy_(uniform(low, high, out.sizes(), out.options()));
    return;
  }
  const float width = static_cast<float>(high - low), offset = static_cast<float>(low);
  fill(key_, out.data_ptr<float>(), out.numel(), [=](const uint32_t* words, float* values) {
    vectorised<to_uniform>(words, values);
    for (int i = 0; i < kTile; ++i) values[i] = values[i] * width + offset;
  });
}

Tensor Stream::normal(IntArrayRef shape, at::TensorOptions options) const {
  return filled(key_, shape, options, normal_words);
}

void Stream::normal_into(Tensor& out) const {
  TORCH_CHECK(out.is_contiguous() && out.scalar_type() == at::kFloat && out.device().is_cpu(),
              "normal_into needs a contiguous float32 CPU tensor");
  fill(key_, out.data_ptr<float>(), out.numel(), normal_words);
}

Tensor Stream::bernoulli(double p, IntArrayRef shape, at::TensorOptions options) const {
  return uniform(shape, at::kFloat).lt_(p).to(options.device(), options.dtype().toScalarType());
}

Tensor Stream::uniform_rows(const RowIds& rows, IntArrayRef shape,
                            at::TensorOptions options) const {
  return filled_rows(at("rows").key(), rows, shape, options, uniform_words);
}

Tensor Stream::normal_rows(const RowIds& rows, IntArrayRef shape, at::TensorOptions options) const {
  return filled_rows(at("rows").key(), rows, shape, options, normal_words);
}

Tensor Stream::bernoulli_rows(double p, const RowIds& rows, IntArrayRef shape,
                              at::TensorOptions options) const {
  const float below = static_cast<float>(p);
  return filled_rows(at("rows").key(), rows, shape, options,
                     [=](const uint32_t* words, float* values) {
                       vectorised<to_bernoulli>(words, below, values);
                     });
}

Tensor Stream::permutation(int64_t n) const {
  Tensor out = at::arange(n, at::kLong);
  int64_t* p = out.data_ptr<int64_t>();
  for (int64_t i = n - 1; i > 0; --i)
    std::swap(p[i], p[integer_at(static_cast<uint64_t>(i), i + 1)]);
  return out;
}

uint64_t Stream::bits(uint64_t i) const { return mix(mix(key_ + 0x632be59bd9b4e019ull) ^ mix(i)); }

double Stream::uniform_at(uint64_t i) const { return static_cast<double>(bits(i) >> 11) * 0x1p-53; }

int64_t Stream::integer_at(uint64_t i, int64_t n) const {
  // High word of a 64 x 64 product: bias below n / 2^64.
  return static_cast<int64_t>(
      (static_cast<unsigned __int128>(bits(i)) * static_cast<uint64_t>(n)) >> 64);
}

}  // namespace altprop
