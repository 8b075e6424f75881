// Exponentials of skew matrices against libtorch's of two copies (which is right, see skew.h) and,
// for derivatives, against the exponential of a block matrix.
#include "altprop/weight_flow/skew.h"

#include <gtest/gtest.h>

#include "altprop/tensor/random.h"
#include "altprop/weight_flow/retraction.h"
#include "network/check_op.h"

namespace altprop::weight_flow {
namespace {

Tensor drawn_skew(int64_t d, double norm, int64_t number = 0) {
  const Tensor m = Stream(3).at("skew").at(d).at(number).normal({d, d}, at::kDouble);
  const Tensor a = m - m.t();
  const double length = a.norm().item<double>();
  return length > 0 ? a * (norm / length) : a;
}

Tensor reference_exp(const Tensor& a) { return at::matrix_exp(at::stack({a, a}))[0]; }

/// d/de exp(a + e x): the upper right block of the exponential of [[a, x], [0, a]].
Tensor reference_derivative(const Tensor& a, const Tensor& x) {
  const int64_t d = a.size(0);
  const Tensor whole = at::cat({at::cat({a, x}, 1), at::cat({at::zeros_like(a), a}, 1)});
  return reference_exp(whole).narrow(0, 0, d).narrow(1, d, d);
}

const std::vector<int64_t> kWidths{1, 2, 3, 4, 8, 33};
const std::vector<double> kNorms{0, 1e-9, 1e-4, 0.03, 0.3, 0.7, 1, 3, 12, 40};

TEST(SkewExp, EqualsTheExponentialAndIsARotation) {
  for (const int64_t d : kWidths)
    for (const double norm : kNorms) {
      SCOPED_TRACE(text::cat("d ", d, ", norm ", norm));
      const Tensor a = drawn_skew(d, norm), e = skew_exp(a);
      expect_close(e, reference_exp(a), 1e-13 * std::max(1.0, norm), "exp");
      expect_close(at::mm(e.t(), e), at::eye(d, at::kDouble), 2e-14 * std::max(1.0, norm), "E^T E");
      expect_close(at::mm(e, skew_exp(-a)), at::eye(d, at::kDouble), 2e-14 * std::max(1.0, norm),
                   "exp(a) exp(-a)");
      const auto [rough, angle] = skew_exp(a, Digits::OfFloat);
      expect_close(rough, e, 2e-8 * std::max(1.0, norm), "with the digits of float32");
      const double largest_angle = d == 1 ? 0 : at::linalg_eigvals(a).abs().max().item<double>();
      EXPECT_GE(angle, largest_angle * (1 - 1e-12));
      EXPECT_LE(angle, 2 * largest_angle + 1e-12);
      const Tensor e32 = skew_exp(a.to(at::kFloat));
      EXPECT_EQ(e32.scalar_type(), at::kFloat);
      expect_close(e32, e, 3e-6 * std::max(1.0, norm), "float32");
    }
}

TEST(SkewExp, DerivativeEqualsThatOfABlockMatrix) {
  for (const int64_t d : kWidths)
    for (const double norm : kNorms) {
      SCOPED_TRACE(text::cat("d ", d, ", norm ", norm));
      const Tensor a = drawn_skew(d, norm), x = drawn_skew(d, 1, 1), k = drawn_skew(d, 1, 2);
      const double angle = skew_exp(a, Digits::OfDouble).angle;
      const Tensor pushed = exp_push(a, angle, x);
      expect_close(at::mm(skew_exp(a), pushed), reference_derivative(a, x),
                   1e-13 * std::max(1.0, norm), "push");
      EXPECT_NEAR(dot_product(k, pushed), dot_product(exp_pull(a, angle, k), x), 1e-14)
          << "transpose";
      expect_close(exp_push(a.to(at::kFloat), angle, x.to(at::kFloat)), pushed,
                   3e-6 * std::max(1.0, norm), "float32");
    }
}

TEST(SkewExp, WhatIsNotFiniteShows) {
  for (const int64_t d : {2, 3, 5})
    for (const double bad : {double(NAN), double(INFINITY)}) {
      Tensor a = drawn_skew(d, 1);
      a[1][0] = bad;
      a[0][1] = -bad;
      EXPECT_FALSE(skew_exp(a).isfinite().all().item<bool>()) << d << " " << bad;
    }
}

TEST(RetractionMaps, AgreeToThirdOrderAndKnowTheirDerivatives) {
  for (const std::string& name : retraction_names())
    for (const int64_t d : {2, 3, 6}) {
      SCOPED_TRACE(name);
      const Retraction& map = retraction(name);
      const Tensor a = drawn_skew(d, 0.8), x = drawn_skew(d, 1, 1), k = drawn_skew(d, 1, 2);
      const Turned step = map.apply(a, Digits::OfDouble);
      const Tensor r = step.rotation;
      expect_close(at::mm(r.t(), r), at::eye(d, at::kDouble), 1e-14, "orthogonal");
      const double e = 1e-5;
      const Tensor difference = (map.apply(a + e * x, Digits::OfDouble).rotation -
                                 map.apply(a - e * x, Digits::OfDouble).rotation) /
                                (2 * e);
      expect_close(at::mm(r, map.push(step, x)), difference, 1e-9, "push");
      EXPECT_NEAR(dot_product(k, map.push(step, x)), dot_product(map.pull(step, k), x), 1e-14);
    }
  for (const double norm : {1e-2, 1e-3}) {  // cayley(a) = exp(a) + a^3 / 12 + O(a^4)
    const Tensor a = drawn_skew(5, norm);
    const Tensor off = retraction("cayley").apply(a, Digits::OfDouble).rotation - skew_exp(a);
    expect_close(off / std::pow(norm, 3), at::mm(a, at::mm(a, a)) / (12 * std::pow(norm, 3)), norm,
                 "cayley - exp");
  }
  expect_refusal([] { retraction("expp"); }, "did you mean");
}

}  // namespace
}  // namespace altprop::weight_flow
