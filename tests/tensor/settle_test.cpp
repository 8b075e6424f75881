// The kernels of settling layers against the library's operations, on shapes that fill no vector.
#include "altprop/tensor/settle.h"

#include <gtest/gtest.h>

#include <cmath>

#include "altprop/tensor/random.h"

namespace altprop {
namespace {

const std::vector<Squash> kSquashForms = {{Squash::Kind::Identity},
                                          {Squash::Kind::Clamp, 0.5, 0.1, -0.25, 0.75},
                                          {Squash::Kind::Sigmoid, 4, -2}};

Tensor expected(const Tensor& a, const Squash& s) {
  const Tensor z = a.to(at::kDouble) * s.gain + s.shift;
  return s.kind == Squash::Kind::Clamp     ? z.clamp(s.low, s.high)
         : s.kind == Squash::Kind::Sigmoid ? z.sigmoid()
                                           : z;
}

double far(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b).abs().max().item<double>();
}

TEST(Settle, SquashesAsTheLibraryDoes) {
  for (const Squash& form : kSquashForms)
    for (const int64_t n : {1, 15, 16, 17, 200}) {
      Tensor x = Stream(n).normal({3, n}).mul_(4);
      if (!settle_fits(x)) GTEST_SKIP() << "no AVX-512";
      const Tensor y = expected(x, form);
      squash_(x, form);
      EXPECT_LT(far(x, y), form.kind == Squash::Kind::Identity ? 2e-6 : 3e-7);
    }
  // Far out, and where nothing is known.
  Tensor x = at::tensor({-1000.f, -25.f, 0.5f, 25.f, 1000.f, NAN});
  squash_(x, kSquashForms[2]);
  EXPECT_LT(far(x.narrow(0, 0, 5), at::tensor({0., 0., 0.5, 1., 1.}, at::kDouble)), 1e-7);
  EXPECT_TRUE(std::isnan(x[5].item<float>()));
  Tensor nan = at::tensor({NAN});
  squash_(nan, kSquashForms[1]);
  EXPECT_TRUE(std::isnan(nan[0].item<float>()));
}

TEST(Settle, RelativeErrorOfSmallSigmoids) {
  Tensor x = at::linspace(-60, 0, 4001, at::kFloat);
  if (!settle_fits(x)) GTEST_SKIP() << "no AVX-512";
  const Tensor y = x.to(at::kDouble).sigmoid();
  squash_(x, {Squash::Kind::Sigmoid});
  EXPECT_LT(((x.to(at::kDouble) - y) / y).abs().max().item<double>(), 6e-6);  // exp of a rounded t
}

TEST(Settle, ProductsAsTheLibraryDoes) {
  for (const auto& [rows, n, k] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{
           {1, 1, 1}, {2, 16, 3}, {5, 67, 10}, {7, 200, 16}, {50, 512, 10}, {3, 130, 64}}) {
    const Tensor base = Stream(1).normal({rows, n}), wide = Stream(2).normal({rows, k + 3}),
                 w = Stream(3).normal({k, n}), x = wide.narrow(1, 1, k);
    if (!spread_fits(base, x, w)) GTEST_SKIP() << "no AVX-512";
    const Tensor a = base.to(at::kDouble) + x.to(at::kDouble).mm(w.to(at::kDouble));
    for (const Squash& form : kSquashForms) {
      Tensor out = at::full({rows, n}, NAN);
      spread_and_squash(out, base, x, w, form);
      EXPECT_LT(far(out, expected(a, form)), 1e-4) << rows << " " << n << " " << k;
      Tensor same = base.clone();
      spread_and_squash(same, same, x, w, form);
      EXPECT_TRUE(at::equal(out, same));
    }
    if (k > 16) continue;
    ASSERT_TRUE(gather_fits(base, w));
    const Tensor bias = Stream(4).normal({k});
    Tensor out = at::full({rows, k}, NAN);
    for (const Tensor& b : {bias, Tensor()}) {
      gather_into(out, base, w, b);
      Tensor y = base.to(at::kDouble).mm(w.to(at::kDouble).t());
      if (b.defined()) y += b.to(at::kDouble);
      EXPECT_LT(far(out, y), 1e-4) << rows << " " << n << " " << k;
    }
  }
}

TEST(Settle, LeavesOtherTensorsToTheLibrary) {
  const Tensor x = at::zeros({4, 8});
  EXPECT_FALSE(settle_fits(x.to(at::kDouble)));
  EXPECT_FALSE(spread_fits(x.to(at::kDouble), x, x));
  EXPECT_FALSE(gather_fits(x.t(), x));
  EXPECT_FALSE(gather_fits(x, at::zeros({17, 8})));
  EXPECT_FALSE(spread_fits(x, at::zeros({4, 65}), at::zeros({65, 8})));
}

}  // namespace
}  // namespace altprop
