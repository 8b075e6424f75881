// Products with a matrix in panels against the library's, on shapes that fill no panel.
#include "altprop/tensor/packed_matrix.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "altprop/probes/kernels.h"
#include "altprop/tensor/random.h"

namespace altprop {
namespace {

/// rows, k, n: heights around the tile of 11, widths around vectors of 16 and panels of 32.
const std::vector<std::array<int64_t, 3>> kPackedShapes = {
    {1, 1, 1},   {10, 7, 16},    {11, 3, 17}, {12, 40, 32},
    {23, 5, 33}, {32, 300, 100}, {64, 9, 10}, {50, 64, 120}};

class PackedMatrixOf : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  static Tensor numbers(int64_t seed, IntArrayRef shape) {
    return Stream(static_cast<uint64_t>(seed)).normal(shape, GetParam());
  }
  /// Of sums of k products.
  static double tolerance(int64_t k) {
    return (GetParam() == at::kFloat ? 1e-6 : 1e-14) * (1 + static_cast<double>(k));
  }
  static double far(const Tensor& a, const Tensor& b) {
    return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
  }
};

TEST_P(PackedMatrixOf, MultipliesAsTheLibraryDoes) {
  for (const auto& [rows, k, n] : kPackedShapes)
    for (const bool turned : {false, true})
      for (const double keep : {0.0, 0.75}) {
        const Tensor matrix = turned ? numbers(1, {n, k}).t() : numbers(1, {k, n});
        const PackedMatrix packed(matrix);
        EXPECT_TRUE(at::equal(packed.unpacked(), matrix));
        const Tensor a = numbers(2, {rows, k + 3}).narrow(1, 2, k),  // rows apart from each other
            extra = numbers(3, {rows, n});
        Tensor out = numbers(4, {rows, n});
        const Tensor expected =
            out * keep + (at::mm(a.to(at::kDouble), matrix.to(at::kDouble)) + extra) * 0.3;
        if (keep == 0) out.fill_(NAN);  // what is not kept is not read
        packed.multiply_into(out, a, keep, 0.3, extra);
        EXPECT_LT(far(out, expected), tolerance(k)) << rows << " " << k << " " << n;
        packed.multiply_into(out, a, 0, 1);
        EXPECT_LT(far(out, at::mm(a, matrix)), tolerance(k)) << rows << " " << k << " " << n;
      }
}

TEST_P(PackedMatrixOf, IsFilledByParts) {
  const Tensor above = numbers(1, {5, 70}), below = numbers(2, {70, 70});
  PackedMatrix packed(75, 70, above.options());
  packed.fill(0, above, 2);
  packed.fill(5, below, -1);
  packed.add_to_diagonal(5, 0.5);
  const Tensor expected = at::cat({above * 2, at::eye(70, above.options()) * 0.5 - below});
  EXPECT_TRUE(at::equal(packed.unpacked(), expected));
  packed.fill(0, above, 1);
  EXPECT_TRUE(at::equal(packed.unpacked().narrow(0, 0, 5), above));
}

INSTANTIATE_TEST_SUITE_P(Numbers, PackedMatrixOf, ::testing::Values(at::kFloat, at::kDouble),
                         [](const auto& info) { return toString(info.param); });

TEST(PackedMatrix, SameBitsForAnyNumberOfThreadsAndRows) {
  const Tensor a = Stream(1).normal({64, 300}), matrix = Stream(2).normal({300, 2000});
  const PackedMatrix packed(matrix);
  if (!packed.in_panels()) GTEST_SKIP() << "no AVX-512";
  const int before = at::get_num_threads();
  Tensor alone = at::empty({64, 2000}), shared = at::empty({64, 2000});
  at::set_num_threads(1);
  packed.multiply_into(alone, a, 0, 1);
  at::set_num_threads(3);
  packed.multiply_into(shared, a, 0, 1);
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(alone, shared));
  Tensor some = at::empty({13, 2000});
  packed.multiply_into(some, a.narrow(0, 40, 13), 0, 1);
  EXPECT_TRUE(at::equal(some, alone.narrow(0, 40, 13)));
}

TEST(PackedMatrix, NothingThatIsNoNumberIsLost) {
  const PackedMatrix packed(at::ones({4, 20}));
  Tensor a = at::zeros({3, 4}), out = at::empty({3, 20});
  a[1][2] = NAN;
  packed.multiply_into(out, a, 0, 1);
  EXPECT_TRUE(out[1].isnan().all().item<bool>());
  EXPECT_FALSE(out[0].isnan().any().item<bool>());
}

TEST(PackedMatrix, ItsProductsAreCounted) {
  const PackedMatrix packed(at::ones({30, 20}));
  Tensor out = at::empty({7, 20});
  const auto kernels = count_kernels([&] { packed.multiply_into(out, at::ones({7, 30}), 0, 1); });
  EXPECT_EQ(flops_of(kernels), 2 * 7 * 30 * 20);
}

}  // namespace
}  // namespace altprop
