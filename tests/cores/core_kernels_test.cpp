// Loops of the cores' own against libtorch's operations, with every odd number.
#include "altprop/cores/core_kernels.h"

#include <gtest/gtest.h>

#include "altprop/base/text.h"
#include "altprop/tensor/own_kernels.h"
#include "altprop/tensor/random.h"
#include "network/check_op.h"
#include "support/special_values.h"

namespace altprop::cores::testing {
namespace {

using test::Switches;

void expect_alike(const Tensor& own, const Tensor& plain, const std::string& what,
                  double tolerance = 2e-6) {
  ASSERT_EQ(own.sizes(), plain.sizes()) << what;
  EXPECT_TRUE(at::allclose(own, plain, tolerance, tolerance, /*equal_nan=*/true)) << what;
}

Tensor draw_for_kernels(uint64_t seed, IntArrayRef shape, double low = 0, double high = 1) {
  return Stream(seed).uniform(low, high, shape);
}

class CoreKernels : public ::testing::TestWithParam<Switches> {};
INSTANTIATE_TEST_SUITE_P(All, CoreKernels,
                         ::testing::Values(Switches{"AllOn", {}}, Switches{"AllOff", OwnKernels::all()}),
                         [](const auto& info) { return info.param.name; });

TEST(CoreLoops, AreOffByTheirSwitchAlone) {
  const Tensor mean = draw_for_kernels(1, {9, 40}, -20, 20), variance = draw_for_kernels(2, {9, 40}, 0, 20),
               leaks = draw_for_kernels(3, {40}, -2, 2);
  const auto fired = [&] { return core_fired(mean, variance, leaks, {}).probability; };
  const Tensor plain = plainly::core_fired(mean, variance, leaks, {}).probability;
  const OwnKernels before = kernels_off();
  set_kernels_off(OwnKernels::all().without({OwnKernel::CoreLoops}));
  EXPECT_FALSE(at::equal(fired(), plain)) << "the own area under the bell is rounded otherwise";
  set_kernels_off({OwnKernel::CoreLoops});
  EXPECT_TRUE(at::equal(fired(), plain));
  set_kernels_off(before);
}

TEST_P(CoreKernels, EqualTheOperations) {
  const KernelsOff off(GetParam().off);
  for (const auto& [rows, axons] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 7}, {64, 256}, {130, 33}}) {
    const std::string what = text::cat(rows, " x ", axons);
    const Tensor c = draw_for_kernels(1, {rows, axons}),
                 s = draw_for_kernels(2, {rows, axons}, -3, 3).round();
    const CoreFactors own = core_factors(c, s), plain = plainly::core_factors(c, s);
    expect_alike(own.mean, plain.mean, what);
    expect_alike(own.variance, plain.variance, what);
    const Tensor p1 = draw_for_kernels(3, {rows, axons}, -1, 1),
                 both = draw_for_kernels(4, {rows, 2 * axons}, -1, 1);
    expect_alike(core_gradient(p1.clone(), both, c, s),
                 plainly::core_gradient(p1.clone(), both, c, s), what, 1e-5);
    const Tensor mean = draw_for_kernels(5, {9, rows}, -20, 20),
                 variance = draw_for_kernels(6, {9, rows}, 0, 20),
                 leaks = draw_for_kernels(7, {rows}, -2, 2);
    for (const bool by_variance : {false, true}) {
      const FireRule rule{.shift = -0.5, .by_variance = by_variance};
      const CoreFired a = core_fired(mean, variance, leaks, rule),
                      b = plainly::core_fired(mean, variance, leaks, rule);
      expect_alike(a.probability, b.probability, what, 5e-7);
      expect_alike(a.by_mean, b.by_mean, what);
      ASSERT_EQ(a.by_variance.defined(), by_variance);
      if (by_variance) expect_alike(a.by_variance, b.by_variance, what);
    }
  }
  const Tensor x = draw_for_kernels(8, {4, 9}), sources = at::tensor({3, -1, 8, 8, 0, -1}, at::kLong);
  EXPECT_TRUE(at::equal(core_operands(x, sources, 2), plainly::core_operands(x, sources, 2)));
  const Tensor turned = draw_for_kernels(8, {9, 4}).t();
  EXPECT_TRUE(at::equal(core_operands(turned, sources, 3), plainly::core_operands(turned, sources, 3)));
}

TEST_P(CoreKernels, ProbabilitiesAreExactToTheirDigits) {
  const KernelsOff off(GetParam().off);
  const Tensor z = at::linspace(-9, 9, 100'001, at::kDouble);
  const Tensor exact = 0.5 * at::special_erfc(-z * std::sqrt(0.5));
  const CoreFired found = core_fired(z.to(at::kFloat).unsqueeze(0), at::ones({1, z.size(0)}),
                                     at::zeros({z.size(0)}), {});
  EXPECT_LT((found.probability[0].to(at::kDouble) - exact).abs().max().item<double>(), 3e-7);
  EXPECT_GE(found.probability.min().item<float>(), 0);
  EXPECT_LE(found.probability.max().item<float>(), 1);
}

TEST_P(CoreKernels, OddNumbersReachWhatDependsOnThem) {
  const KernelsOff off(GetParam().off);
  const float inf = INFINITY;
  const Tensor odd = at::tensor({0.f, -0.f, 1e-38f, 1e-4f, 2e-4f, 1.f, -1.f, 1e30f, inf, -inf, NAN});
  const int64_t n = odd.size(0);
  const Tensor mean = odd.repeat_interleave(n).view({1, n * n}), variance = odd.repeat({n}).view({1, n * n});
  for (const double at_zero : {0.0, 1.0}) {
    const FireRule rule{.at_zero = at_zero};
    const CoreFired own = core_fired(mean, variance, at::zeros({n * n}), rule),
                    plain = plainly::core_fired(mean, variance, at::zeros({n * n}), rule);
    for (int64_t i = 0; i < n * n; ++i) {
      const std::string what = text::cat("mean ", mean[0][i].item<float>(), ", variance ",
                                         variance[0][i].item<float>());
      const auto alike = [&](const Tensor& a, const Tensor& b) {
        expect_alike(a[0][i], b[0][i], what, 1e-6);
      };
      alike(own.probability, plain.probability);
      alike(own.by_mean, plain.by_mean);
      alike(own.by_variance, plain.by_variance);
    }
  }
}

}  // namespace
}  // namespace altprop::cores::testing
