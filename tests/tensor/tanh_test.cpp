// The own tanh against one in double.
#include "altprop/tensor/tanh.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/tensor/own_kernels.h"
#include "altprop/tensor/random.h"

namespace altprop {
namespace {

/// Distance in units in the last place of the right value.
Tensor units_off(const Tensor& found, const Tensor& right) {
  const Tensor rounded = right.to(at::kFloat).abs();
  const Tensor unit = at::nextafter(rounded, at::full_like(rounded, INFINITY)) - rounded;
  return (found.to(at::kDouble) - right).abs() / unit.to(at::kDouble);
}

TEST(Tanh, IsRightToSixUnitsInTheLastPlaceAndNeverBeyondOne) {
  const Tensor size = at::exp2(at::linspace(-40, 7, 400'001, at::kDouble));
  const Tensor x = at::cat({size, -size}).to(at::kFloat);
  Tensor y = x.clone();
  apply_tanh_(y);
  const Tensor off = units_off(y, x.to(at::kDouble).tanh());
  EXPECT_LE(off.max().item<double>(), 6) << "at " << x[off.argmax()].item<float>();
  EXPECT_LE(y.abs().max().item<float>(), 1);
  EXPECT_TRUE(at::equal(y.narrow(0, 0, size.size(0)), -y.narrow(0, size.size(0), size.size(0))));
}

TEST(Tanh, KeepsNanInfinityAndTheSignOfZero) {
  Tensor x = at::tensor({NAN, INFINITY, -INFINITY, 0.f, -0.f, 1e-40f, 3e38f, -3e38f});
  apply_tanh_(x);
  EXPECT_TRUE(std::isnan(x[0].item<float>()));
  EXPECT_EQ(x[1].item<float>(), 1);
  EXPECT_EQ(x[2].item<float>(), -1);
  EXPECT_FALSE(std::signbit(x[3].item<float>()));
  EXPECT_TRUE(std::signbit(x[4].item<float>()));
  EXPECT_NEAR(x[5].item<float>(), 1e-40f, 1e-43);
  EXPECT_EQ(x[6].item<float>(), 1);
  EXPECT_EQ(x[7].item<float>(), -1);
}

TEST(Tanh, TakesAnyShapeTypeAndStrideAndABias) {
  const Stream draws(3);
  for (const auto type : {at::kFloat, at::kDouble})
    for (const int64_t n : {1, 7, 17, 64}) {
      const Tensor x = draws.at("x").normal({5, n}, type), b = draws.at("b").normal({n}, type);
      const double tolerance = type == at::kFloat ? 1e-6 : 1e-15;
      Tensor biased = x.clone();
      apply_tanh_(biased, b);
      EXPECT_TRUE(at::allclose(biased, (x + b).tanh(), tolerance, tolerance));
      Tensor half = draws.at("wide").normal({5, 2 * n}, type);
      const Tensor before = half.clone();
      Tensor left = half.narrow(1, 0, n);
      apply_tanh_(left);
      EXPECT_TRUE(at::allclose(left, before.narrow(1, 0, n).tanh(), tolerance, tolerance));
      EXPECT_TRUE(at::equal(half.narrow(1, n, n), before.narrow(1, n, n))) << "what lies between";
      apply_tanh_(left, b);
    }
  const Tensor planes = draws.at("planes").normal({2, 3, 4, 5});
  Tensor last = planes.contiguous(at::MemoryFormat::ChannelsLast), none = at::empty({0, 4});
  apply_tanh_(last);
  EXPECT_TRUE(at::allclose(last, planes.tanh(), 1e-6, 1e-6));
  apply_tanh_(none, at::empty({4}));
}

TEST(Tanh, DoesNotDependOnTheShapeThatNumbersComeIn) {
  const Tensor x = Stream(4).at("x").normal({40'000}) * 3, b = at::zeros({100}, at::kFloat);
  Tensor whole = x.clone(), rows = x.clone().view({400, 100}), part = x.narrow(0, 0, 13).clone();
  apply_tanh_(whole);
  apply_tanh_(rows, b);
  apply_tanh_(part);
  EXPECT_TRUE(at::equal(whole, rows.view({-1})));
  EXPECT_TRUE(at::equal(whole.narrow(0, 0, 13), part));
}

}  // namespace
}  // namespace altprop
