// Complex numbers as planes: against the library's complex numbers, near overflow, and in the limit
// of a vanishing imaginary part, which is the derivative.
#include "altprop/tensor/planar.h"

#include <gtest/gtest.h>

#include "altprop/network/ops/activation.h"
#include "altprop/tensor/random.h"
#include "altprop/tensor/softmax_pool.h"
#include "support/device.h"

namespace altprop {
namespace {

const std::vector<std::pair<std::string, Analytic>>& functions() {
  using Kind = Analytic::Kind;
  static const std::vector<std::pair<std::string, Analytic>> all = {
      {"sigmoid", {Kind::Logistic}},
      {"shifted-sigmoid", {Kind::Logistic, 4, -2}},
      {"tanh", {Kind::Tanh}},
      {"dsilu", {Kind::Dsilu}}};
  return all;
}

Tensor draw(const char* name, IntArrayRef shape, at::ScalarType dtype, double scale = 1) {
  return Stream(3).at(name).normal(shape, test::on_device(dtype)).mul_(scale);
}

double apart(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

Tensor in_complex(const Tensor& z, const Analytic& f) {
  if (f.kind == Analytic::Kind::Tanh) return at::tanh(z);
  const auto logistic = [](const Tensor& s) { return 1 / (1 + (-s).exp()); };
  if (f.kind == Analytic::Kind::Logistic) return logistic(f.gain * z + f.shift);
  return z / 2 * logistic(z) + (1 - z / 2) * logistic(z - 2);
}

TEST(Planar, FunctionsAreThoseOfTheLibrarysComplexNumbers) {
  for (const auto dtype : {at::kDouble, at::kFloat})
    for (const auto& [name, f] : functions()) {
      const double tolerance = dtype == at::kDouble ? 2e-14 : 5e-6;
      const PlanarRows rows{3, 4};
      Tensor z = draw("z", {11, 37}, dtype, 2);
      imaginary_parts(z, rows).clamp_(-0.7, 0.7);  // within the poles of the steepest
      const Tensor before = z.clone();
      apply_analytic_(z, rows, f);
      Tensor x = real_rows(before, rows);
      Saved scratch;
      EXPECT_LT(apart(real_rows(z, rows), activation(name)->forward(std::span(&x, 1), scratch, {})),
                tolerance)
          << name;
      const Tensor exact =
          in_complex(at::complex(real_parts(before, rows), imaginary_parts(before, rows)), f);
      EXPECT_LT(apart(real_parts(z, rows), at::real(exact)), tolerance) << name;
      EXPECT_LT(apart(imaginary_parts(z, rows), at::imag(exact)), tolerance) << name;
    }
}

TEST(Planar, LargeArgumentsReachTheirLimits) {
  for (const auto dtype : {at::kDouble, at::kFloat})
    for (const auto& [name, f] : functions()) {
      const PlanarRows rows{2, 2};
      Tensor z =
          at::tensor({-400., 400., -400., 400., 0.3, -0.3}, test::on_device(dtype)).view({6, 1});
      apply_analytic_(z, rows, f);
      const double low = name == "tanh" ? -1 : 0;
      const std::vector<double> expected = {low, 1, low, 1, 0, 0};
      for (size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR(z[static_cast<int64_t>(i)].item<double>(), expected[i], 1e-4) << name << i;
    }
  Tensor z = at::full({3, 1}, NAN, test::on_device(at::kDouble));
  apply_analytic_(z, {1, 1}, {});
  EXPECT_TRUE(z.isnan().all().item<bool>());
}

TEST(Planar, DsiluHasThePublishedValues) {
  Tensor x = at::tensor({-2., 0., 1., 2., 4.}, test::on_device(at::kDouble));
  Saved scratch;
  const Tensor y = activation("dsilu")->forward(std::span(&x, 1), scratch, {});
  const Tensor expected =
      at::tensor({-0.08323050, 0.11920292, 0.5, 0.88079708, 1.08323050}, y.options());
  EXPECT_LT(apart(y, expected), 1e-8);
}

TEST(Planar, AVanishingImaginaryPartIsTheDerivative) {
  for (const auto& [name, f] : functions()) {
    const Tensor x = draw("x", {5, 9}, at::kDouble, 2);
    const double h = 1e-20;
    Tensor z = at::cat({x, at::full_like(x, h)});
    apply_analytic_(z, {0, 5}, f);
    EXPECT_LT(apart(z.narrow(0, 5, 5) / h, analytic_slope(x, f)), 1e-13) << name;
  }
}

TEST(Planar, ScalingAndSoftmaxAreComplex) {
  const PlanarRows rows{1, 2};
  const Tensor z = draw("z", {5, 3}, at::kDouble), a = draw("a", {3, 1}, at::kDouble),
               b = draw("b", {2, 1}, at::kDouble);
  const Tensor out = planar_scaled(z, rows, a, b);
  EXPECT_EQ(apart(real_rows(out, rows), z.narrow(0, 0, 1) * a.narrow(0, 0, 1)), 0);
  const Tensor exact = at::complex(real_parts(z, rows), imaginary_parts(z, rows)) *
                       at::complex(a.narrow(0, 1, 2), b);
  EXPECT_LT(apart(real_parts(out, rows), at::real(exact)), 1e-15);
  EXPECT_LT(apart(imaginary_parts(out, rows), at::imag(exact)), 1e-15);
  Tensor re, im;
  complex_softmax(real_parts(z, rows) + 700, imaginary_parts(z, rows), re, im);
  const Tensor e = at::complex(real_parts(z, rows), imaginary_parts(z, rows)).exp();
  const Tensor p = e / e.sum(-1, true);
  EXPECT_LT(apart(re, at::real(p)), 1e-14);
  EXPECT_LT(apart(im, at::imag(p)), 1e-14);
}

/// The definition, with the library's complex numbers.
Tensor pooled_by_definition(const Tensor& x, int64_t k, double t) {
  const int64_t h = x.size(2) / k, w = x.size(3) / k;
  const Tensor v =
      x.narrow(2, 0, h * k).narrow(3, 0, w * k).unflatten(2, {h, k}).unflatten(4, {w, k});
  const Tensor e = (v / t).exp();
  return (e * v).sum({3, 5}) / e.sum({3, 5});
}

TEST(Planar, SoftmaxPoolingIsComplex) {
  for (const auto dtype : {at::kDouble, at::kFloat})
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast})
      for (const double t : {0.5, 1., 10.}) {
        const double tolerance = dtype == at::kDouble ? 1e-13 : 2e-5;
        const PlanarRows rows{2, 3};
        const Tensor x = draw("x", {8, 3, 5, 6}, dtype, 0.5).contiguous(format);
        const SoftmaxPooled y = softmax_pool(x, rows, 2, t);
        const auto as_complex = [&](const Tensor& p) {
          return at::complex(real_parts(p, rows), imaginary_parts(p, rows));
        };
        EXPECT_LT(apart(real_rows(y.out, rows), pooled_by_definition(real_rows(x, rows), 2, t)),
                  tolerance);
        EXPECT_LT(apart(as_complex(y.out), pooled_by_definition(as_complex(x), 2, t)), tolerance);
        // Cauchy-Riemann: the same complex slope along the real and the imaginary direction.
        const Tensor g = draw("g", {8, 3, 2, 3}, dtype);
        const Tensor pulled = softmax_pool_pull(y.slope, g, rows, 2);
        EXPECT_LT(apart(real_rows(pulled, rows),
                        softmax_pool_pull(real_rows(y.slope, rows), real_rows(g, rows), {2, 0}, 2)),
                  tolerance);
        if (dtype != at::kDouble) continue;
        const double h = 1e-6;
        const Tensor d = draw("d", {3, 3, 5, 6}, dtype);
        for (const bool imaginary : {false, true}) {
          const Tensor direction =
              imaginary ? at::complex(at::zeros_like(d), d) : at::complex(d, at::zeros_like(d));
          const Tensor change = (pooled_by_definition(as_complex(x) + h * direction, 2, t) -
                                 pooled_by_definition(as_complex(x) - h * direction, 2, t)) /
                                (2 * h);
          const auto by_slope = (as_complex(pulled) * direction).sum().item<c10::complex<double>>(),
                     by_change = (as_complex(g) * change).sum().item<c10::complex<double>>();
          EXPECT_LT(std::abs(by_slope - by_change), 1e-7) << t << imaginary;
        }
      }
}

}  // namespace
}  // namespace altprop
