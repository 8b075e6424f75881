// The own kernels of tensor/ do what the library's operators do.
#include "altprop/tensor/outer_product.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "altprop/tensor/random.h"
#include "altprop/tensor/rows.h"

namespace altprop {
namespace {

struct Operands {
  Tensor rows, a, b, sum, value;
  Operands(int64_t samples, int64_t n, int64_t m)
      : rows(Stream(1).normal({samples, n})),
        a(rows.t()),
        b(Stream(2).normal({samples, m})),
        sum(Stream(3).normal({n, m})),
        value(Stream(4).normal({n, m})) {}
};

/// Heights around the tile of 14, widths around vectors of 16 and tiles of 32.
const std::vector<std::array<int64_t, 3>> kOuterShapes = {
    {1, 1, 1}, {3, 14, 32}, {64, 15, 33}, {5, 29, 16}, {64, 10, 500}, {7, 13, 47}, {33, 500, 17}};

bool has_outer_product() {
  const Operands o(2, 3, 4);
  return outer_product_fits(o.sum, o.a, o.b);
}

TEST(OuterProduct, EqualsTheLibrarysProduct) {
  if (!has_outer_product()) GTEST_SKIP() << "no AVX-512";
  for (const auto& [samples, n, m] : kOuterShapes)
    for (const double keep : {0.0, 0.9, 1.0}) {
      Operands o(samples, n, m);
      const Tensor expected =
          (o.sum.to(at::kDouble) * keep + 0.3 * at::mm(o.a.to(at::kDouble), o.b.to(at::kDouble)))
              .to(at::kFloat);
      if (keep == 0) o.sum.fill_(NAN);  // what is not kept is not read
      outer_product_into(o.sum, o.a, o.b, keep, 0.3);
      EXPECT_TRUE(at::allclose(o.sum, expected, 1e-5, 1e-5)) << samples << " " << n << " " << m;
    }
}

TEST(OuterProduct, MomentumsStepInOnePass) {
  if (!has_outer_product()) GTEST_SKIP() << "no AVX-512";
  for (const auto& [samples, n, m] : kOuterShapes) {
    Operands o(samples, n, m);
    const Tensor average = (o.sum * 0.9).addmm_(o.a, o.b, 1, 0.25).add_(o.value, 0.01);
    const Tensor value = o.value - average * 0.1;
    outer_product_step(o.sum, o.value, o.a, o.b, 0.25, {0.9, 0.01, 0.1});
    EXPECT_TRUE(at::allclose(o.sum, average, 1e-5, 1e-5)) << samples << " " << n << " " << m;
    EXPECT_TRUE(at::allclose(o.value, value, 1e-5, 1e-5)) << samples << " " << n << " " << m;
  }
}

TEST(OuterProduct, SameBitsWithAnyNumberOfThreads) {
  if (!has_outer_product()) GTEST_SKIP() << "no AVX-512";
  const int before = at::get_num_threads();
  Tensor first;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    Operands o(64, 500, 300);
    outer_product_into(o.sum, o.a, o.b, 0.9, 0.3);
    if (threads == 1) first = o.sum;
    EXPECT_TRUE(o.sum.equal(first)) << threads;
  }
  at::set_num_threads(before);
}

TEST(OuterProduct, LeavesWhatItCannotTake) {
  const Operands o(6, 3, 4);
  EXPECT_FALSE(outer_product_fits(o.sum.to(at::kDouble), o.a, o.b));
  EXPECT_FALSE(outer_product_fits(o.sum, o.a.contiguous(), o.b));
  EXPECT_FALSE(outer_product_fits(o.sum, o.a, o.b.t().contiguous().t()));
  EXPECT_FALSE(outer_product_fits(o.sum.t().contiguous().t(), o.a, o.b));
}

TEST(Rows, BiasAndReluInOnePass) {
  for (const auto dtype : {at::kFloat, at::kDouble})
    for (const bool relu : {false, true}) {
      const Tensor x = Stream(1).normal({37, 100}, dtype), bias = Stream(2).normal({100}, dtype);
      Tensor y = x.clone();
      add_bias_(y, bias, relu);
      EXPECT_TRUE(at::allclose(y, relu ? (x + bias).relu() : x + bias)) << relu;
    }
  Tensor nan = at::full({1, 3}, NAN);
  add_bias_(nan, at::zeros({3}), true);
  EXPECT_TRUE(nan.isnan().all().item<bool>()) << "divergence has to show";
}

TEST(Rows, SumOfRows) {
  for (const auto dtype : {at::kFloat, at::kDouble})
    for (const double keep : {0.0, 0.5, 1.0})
      for (const int64_t n : {1, 255, 600}) {
        const Tensor rows = Stream(1).normal({33, n}, dtype);
        Tensor out = Stream(2).normal({n}, dtype);
        const Tensor expected = out * keep + rows.sum(0) * 0.2;
        if (keep == 0) out.fill_(NAN);
        add_rows_into(out, rows, keep, 0.2);
        EXPECT_TRUE(at::allclose(out, expected, 1e-5, 1e-5)) << keep << " " << n;
      }
}

}  // namespace
}  // namespace altprop
