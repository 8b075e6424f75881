// Draws that belong to samples: a row is its sample's wherever it stands, and samples are
// independent.
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "altprop/base/error.h"
#include "altprop/tensor/own_kernels.h"
#include "altprop/tensor/random.h"
#include "support/device.h"
#include "support/threads.h"

namespace altprop::test {
namespace {

enum class Draw { Uniform, Normal, Bernoulli };

Tensor drawn_rows(Draw draw, const RowIds& rows, IntArrayRef shape,
                  at::TensorOptions options = at::kFloat) {
  const Stream s = Stream(7).at("noise").at(3);
  switch (draw) {
    case Draw::Uniform:
      return s.uniform_rows(rows, shape, options);
    case Draw::Normal:
      return s.normal_rows(rows, shape, options);
    default:
      return s.bernoulli_rows(0.4, rows, shape, options);
  }
}

constexpr std::array kDraws = {Draw::Uniform, Draw::Normal, Draw::Bernoulli};

Tensor numbers_of(std::initializer_list<int64_t> ids) { return at::tensor(ids, at::kLong); }

/// Philox4x32-10 as published, one block, and the words' numbers.
std::array<uint32_t, 4> philox_block(uint64_t key, std::array<uint32_t, 4> c) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
  }
  return c;
}

TEST(RowDraws, AreTheBlocksOfTheSamplesCounters) {
  // Known answers of the authors' library: counter and key 0, and all ones.
  EXPECT_EQ(philox_block(0, {0, 0, 0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox_block(~0ull, {~0u, ~0u, ~0u, ~0u}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  const std::vector<int64_t> ids = {5, -1, int64_t{1} << 40, 0};
  for (const int64_t width : {1, 3, 4, 10, 64, 67, 130}) {
    const Tensor found = drawn_rows(Draw::Uniform, {at::tensor(ids, at::kLong)},
                                    {static_cast<int64_t>(ids.size()), width});
    const uint64_t key = Stream(7).at("noise").at(3).at("rows").key();
    for (size_t b = 0; b < ids.size(); ++b)
      for (int64_t i = 0; i < width; ++i) {
        const auto id = static_cast<uint64_t>(ids[b]);
        const uint32_t word =
            philox_block(key, {static_cast<uint32_t>(i / 4), 0, static_cast<uint32_t>(id),
                               static_cast<uint32_t>(id >> 32)})[static_cast<size_t>(i % 4)];
        ASSERT_EQ(found[static_cast<int64_t>(b)][i].item<float>(),
                  static_cast<float>(word >> 8) * 0x1p-24f)
            << ids[b] << ", number " << i << " of " << width;
      }
  }
}

TEST(RowDraws, ASampleDrawsTheSameInAnyPlaceAndCompany) {
  const Tensor ids = numbers_of({12, 7, 900, -3, 7, 0, 31});
  const Tensor order = numbers_of({4, 2, 0, 6, 5, 1, 3});
  for (const Draw draw : kDraws)
    for (const std::vector<int64_t>& sample :
         std::vector<std::vector<int64_t>>{{}, {3}, {10}, {64}, {4, 3, 3}, {130}}) {
      std::vector<int64_t> shape = {7};
      shape.insert(shape.end(), sample.begin(), sample.end());
      const Tensor whole = drawn_rows(draw, {ids}, shape);
      EXPECT_EQ(shape_text(whole.sizes()), shape_text(shape));
      EXPECT_TRUE(at::equal(drawn_rows(draw, {ids.index_select(0, order)}, shape),
                            whole.index_select(0, order)));
      EXPECT_TRUE(at::equal(whole[1], whole[4])) << "a sample that comes twice";
      for (const auto& [from, to] :
           std::vector<std::pair<int64_t, int64_t>>{{0, 3}, {3, 7}, {6, 7}}) {
        shape[0] = to - from;
        EXPECT_TRUE(
            at::equal(drawn_rows(draw, {ids.slice(0, from, to)}, shape), whole.slice(0, from, to)));
      }
    }
}

TEST(RowDraws, WithoutNumbersPlacesCount) {
  for (const Draw draw : kDraws) {
    const Tensor whole = drawn_rows(draw, {}, {9, 11});
    EXPECT_TRUE(at::equal(drawn_rows(draw, {at::arange(9)}, {9, 11}), whole));
    EXPECT_TRUE(at::equal(drawn_rows(draw, {.first_row = 4}, {5, 11}), whole.narrow(0, 4, 5)));
    // Numbers make the place meaningless.
    EXPECT_TRUE(at::equal(drawn_rows(draw, {at::arange(9), 4}, {9, 11}), whole));
  }
}

TEST(RowDraws, EveryInt64IsANumber) {
  const int64_t low = std::numeric_limits<int64_t>::min(),
                high = std::numeric_limits<int64_t>::max();
  const Tensor rows = drawn_rows(
      Draw::Uniform, {numbers_of({low, high, -1, 0, 1, int64_t{1} << 32, (int64_t{1} << 32) + 1})},
      {7, 50});
  for (int64_t a = 0; a < 7; ++a)
    for (int64_t b = 0; b < a; ++b) EXPECT_FALSE(at::equal(rows[a], rows[b])) << a << ' ' << b;
  EXPECT_TRUE(at::equal(drawn_rows(Draw::Uniform, {numbers_of({low})}, {1, 50})[0], rows[0]));
  const Tensor narrow = at::arange(5, at::kInt);
  EXPECT_TRUE(at::equal(drawn_rows(Draw::Normal, {narrow}, {5, 3}),
                        drawn_rows(Draw::Normal, {at::arange(5)}, {5, 3})));
  const Tensor apart = at::arange(10).slice(0, 0, std::nullopt, 2);
  EXPECT_TRUE(at::equal(drawn_rows(Draw::Normal, {apart}, {5, 3}),
                        drawn_rows(Draw::Normal, {apart.contiguous()}, {5, 3})));
}

TEST(RowDraws, PrecisionDeviceThreadsAndInstructionsChangeNothing) {
  const Tensor ids = Stream(1).permutation(3000);
  for (const Draw draw : kDraws) {
    const Tensor once = drawn_rows(draw, {ids}, {3000, 30});
    EXPECT_TRUE(at::equal(drawn_rows(draw, {ids}, {3000, 30}, at::kDouble), once.to(at::kDouble)));
    const Tensor there =
        drawn_rows(draw, {ids.to(test_device())}, {3000, 30}, on_device(at::kFloat));
    EXPECT_EQ(there.device().type(), test_device().type());
    EXPECT_TRUE(at::equal(there.cpu(), once));
    for (const int threads : {1, 2, 3}) {
      const Threads t(threads);
      EXPECT_TRUE(at::equal(drawn_rows(draw, {ids}, {3000, 30}), once));
    }
    for (const OwnKernels off : {OwnKernels{OwnKernel::Avx512}, OwnKernels::all()}) {
      const KernelsOff guard(off);
      EXPECT_TRUE(at::equal(drawn_rows(draw, {ids}, {3000, 30}), once));
    }
  }
}

TEST(RowDraws, RefuseNumbersThatDoNotFit) {
  const auto said = [](const Tensor& ids, IntArrayRef shape) {
    try {
      drawn_rows(Draw::Bernoulli, {ids}, shape);
    } catch (const UsageError& e) {
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  EXPECT_EQ(
      said(at::arange(3), {4, 2}),
      "random numbers of 4 samples need as many sample numbers, but these have the shape [3]");
  EXPECT_EQ(said(at::zeros({4, 1}, at::kLong), {4, 2}),
            "random numbers of 4 samples need as many sample numbers, but these have the shape "
            "[4, 1]");
  EXPECT_EQ(said(at::zeros({4}), {4, 2}),
            "random numbers of samples go by integers, but the samples' numbers are real");
  EXPECT_EQ(said({}, {}), "random numbers of samples need a shape [B, ...]");
  EXPECT_EQ(said(at::arange(0), {0, 2}), "nothing");
  EXPECT_EQ(said(at::arange(3), {3, 0}), "nothing");
}

/// Largest correlation between two rows of a matrix of standardised numbers, beside a row's with
/// itself.
double largest_correlation(const Tensor& rows) {
  Tensor c = rows.mm(rows.t()).div_(rows.size(1)).abs_();
  c.fill_diagonal_(0);
  return c.max().item<double>();
}

TEST(RowDraws, SamplesLayersAndNeighboursAreIndependent) {
  constexpr int64_t kSamples = 200, kWidth = 4000;
  const double limit = 5.5 / std::sqrt(static_cast<double>(kWidth));  // of 20 000 pairs
  const Stream layer = Stream(1).at("step").at(5);
  const Tensor u = layer.at(1).uniform_rows({}, {kSamples, kWidth}, at::kDouble);
  EXPECT_NEAR(u.mean().item<double>(), 0.5, 2e-3);
  EXPECT_NEAR(u.var().item<double>(), 1.0 / 12, 1e-3);
  const Tensor standard = (u - 0.5) * std::sqrt(12);
  EXPECT_LT(largest_correlation(standard), limit) << "of samples with neighbouring numbers";
  EXPECT_LT(largest_correlation(standard.t().slice(0, 0, 300).contiguous()),
            5.5 / std::sqrt(static_cast<double>(kSamples)))
      << "of the numbers of a sample";
  const Tensor other =
      (layer.at(2).uniform_rows({}, {kSamples, kWidth}, at::kDouble) - 0.5) * std::sqrt(12);
  const Tensor between = standard.mm(other.t()).div_(kWidth).abs_();
  EXPECT_LT(between.max().item<double>(), limit) << "of two layers, and of a sample in both";
  // The draws of the whole stream are others.
  const Tensor plain = (layer.at(1).uniform({1, kWidth}, at::kDouble) - 0.5) * std::sqrt(12);
  EXPECT_LT(standard.mm(plain.t()).div_(kWidth).abs_().max().item<double>(), limit);
  const Tensor kept = layer.at(1).bernoulli_rows(0.3, {}, {kSamples, kWidth}, at::kDouble);
  EXPECT_NEAR(kept.mean().item<double>(), 0.3, 3e-3);
  EXPECT_LT(kept.mean(1).sub_(0.3).abs_().max().item<double>(),
            5 * std::sqrt(0.21 / static_cast<double>(kWidth)));
  const Tensor normal = layer.at(1).normal_rows({}, {kSamples, kWidth}, at::kDouble);
  EXPECT_NEAR(normal.mean().item<double>(), 0, 5e-3);
  EXPECT_NEAR(normal.var().item<double>(), 1, 1e-2);
}

}  // namespace
}  // namespace altprop::test
