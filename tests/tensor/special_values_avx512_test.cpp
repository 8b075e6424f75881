// NaN and infinity in the kernels that are written for AVX-512; where the processor has none, the
// build that emulates it runs these (target altprop_emulated).
#include <ATen/ops/convolution_backward.h>

#include "altprop/tensor/narrow_conv.h"
#include "altprop/tensor/outer_product.h"
#include "altprop/tensor/packed_matrix.h"
#include "altprop/tensor/settle.h"
#include "altprop/tensor/settle_pair.h"
#include "altprop/tensor/value_steps.h"
#include "support/special_values.h"

namespace altprop {
namespace {

using test::expect_as_library;
using test::with_special_values;
using test::with_zeros;

/// Around tiles and vectors.
const std::vector<std::array<int64_t, 3>> kProducts = {
    {1, 3, 1}, {14, 5, 32}, {15, 9, 33}, {11, 20, 17}};
constexpr double kLoose = 1e-4;

const Squash kSquashes[] = {{Squash::Kind::Identity},
                            {Squash::Kind::Clamp, 0.5, 0.1, -0.25, 0.75},
                            {Squash::Kind::Sigmoid, 4, -2}};

Tensor squashed_by_library(const Tensor& a, const Squash& s) {
  const Tensor z = a * s.gain + s.shift;
  return s.kind == Squash::Kind::Clamp     ? z.clamp(s.low, s.high)
         : s.kind == Squash::Kind::Sigmoid ? z.sigmoid()
                                           : z;
}

TEST(SpecialValuesAvx512, OuterProducts) {
  for (const auto& [n, k, m] : kProducts) {
    const Tensor rows = with_zeros(1, {k, n}), b = with_zeros(2, {k, m}), a = rows.t(),
                 start = with_zeros(3, {n, m}), weight = with_zeros(4, {n, m});
    if (!outer_product_fits(start, a, b)) GTEST_SKIP() << "no AVX-512";
    with_special_values({rows, b, start, weight}, [&](const std::string& what) {
      const Tensor product = at::mm(a, b).mul(0.25);
      for (const double keep : {0.0, 0.5}) {
        Tensor out = start.clone();
        outer_product_into(out, a, b, keep, 0.25);
        expect_as_library(out, keep == 0 ? product : start * keep + product, what);
        for (const double decay : {0.0, 0.1}) {
          Tensor average = start.clone(), value = weight.clone();
          outer_product_step(average, value, a, b, 0.25, {keep, decay, 0.5});
          Tensor expected = keep == 0 ? product : start * keep + product;
          if (decay != 0) expected = expected + weight * decay;
          expect_as_library(average, expected, what);
          expect_as_library(value, weight - expected * 0.5, what);
        }
      }
    });
  }
}

TEST(SpecialValuesAvx512, PackedProducts) {
  if (!PackedMatrix::has_panels(at::kFloat)) GTEST_SKIP() << "no AVX-512";
  for (const auto& [rows, k, n] : kProducts) {
    const Tensor a = with_zeros(1, {rows, k}), matrix = with_zeros(2, {k, n}),
                 extra = with_zeros(3, {rows, n}), start = with_zeros(4, {rows, n});
    with_special_values({a, matrix, extra, start}, [&](const std::string& what) {
      const PackedMatrix packed(matrix);
      for (const double keep : {0.0, 0.5})
        for (const Tensor& more : {extra, Tensor()}) {
          Tensor out = start.clone();
          packed.multiply_into(out, a, keep, 0.25, more);
          Tensor expected = at::mm(a, matrix);
          if (more.defined()) expected = expected + more;
          expected = expected * 0.25;
          expect_as_library(out, keep == 0 ? expected : start * keep + expected, what);
        }
    });
  }
}

TEST(SpecialValuesAvx512, CreditOfNarrowConvolutions) {
  for (const auto& [in, padding] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 0}, {6, 1}, {12, 0}}) {
    const Tensor plain = with_zeros(1, {2, 5, 4, 7}), weight = with_zeros(2, {5, in, 3, 5});
    const auto last = at::MemoryFormat::ChannelsLast;
    if (!narrow_credit_fits(plain.contiguous(last), weight, padding)) GTEST_SKIP() << "no AVX-512";
    with_special_values({plain, weight}, [&](const std::string& what) {
      const Tensor credit = plain.contiguous(last),
                   input = at::zeros({2, in, 6 - 2 * padding, 11 - 2 * padding});
      // In float64, whose kernel is another for some processors, as are the places of padding.
      const Tensor library = std::get<0>(at::convolution_backward(
          plain.to(at::kDouble), input.to(at::kDouble), weight.to(at::kDouble), {}, {1, 1},
          {padding, padding}, {1, 1}, false, {0, 0}, 1, {true, false, false}));
      expect_as_library(narrow_credit(credit, weight, padding), library, what);
    });
  }
}

TEST(SpecialValuesAvx512, SettlingLayers) {
  for (const auto& [rows, k, n] : kProducts) {
    const Tensor base = with_zeros(1, {rows, n}), x = with_zeros(2, {rows, k}),
                 w = with_zeros(3, {k, n}), bias = with_zeros(4, {k});
    if (!spread_fits(base, x, w)) GTEST_SKIP() << "no AVX-512";
    with_special_values({base, x, w, bias}, [&](const std::string& what) {
      for (const Squash& form : kSquashes) {
        Tensor out = at::full({rows, n}, NAN), alone = base.clone();
        spread_and_squash(out, base, x, w, form);
        expect_as_library(out, squashed_by_library(base + x.mm(w), form), what, kLoose);
        squash_(alone, form);
        expect_as_library(alone, squashed_by_library(base, form), what, kLoose);
      }
      if (!gather_fits(base, w)) return;
      Tensor sums = at::full({rows, k}, NAN);
      gather_into(sums, base, w, bias);
      expect_as_library(sums, base.mm(w.t()) + bias, what, kLoose);
    });
  }
}

/// The steps of settle_pair, by the library in float32. @returns the largest |move| of the last
double by_steps(SettlingPair& p, int64_t steps) {
  const auto part = [&](const Tensor& drive, double keep, const Tensor& old) {
    return keep == 0 ? drive * p.share : drive * p.share + old * keep;
  };
  Tensor moved;
  for (int64_t t = 0; t < steps; ++t) {
    Tensor a = p.wide.mm(p.weight.t()) + p.bias;
    if (p.push.defined()) a = a - p.push * (p.narrow - p.target);
    const Tensor o = squashed_by_library(part(a, p.keep_narrow, p.narrow), p.narrow_sigma);
    const Tensor drive = p.drive + (p.at_once ? p.narrow : o).mm(p.back);
    const Tensor h = squashed_by_library(part(drive, p.keep_wide, p.wide), p.wide_sigma);
    moved = at::maximum((o - p.narrow).abs().max(), (h - p.wide).abs().max());
    p.narrow = o;
    p.wide = h;
  }
  return moved.item<double>();
}

TEST(SpecialValuesAvx512, SettlingPairs) {
  for (const auto& [rows, k, n] :
       std::vector<std::array<int64_t, 3>>{{1, 1, 4}, {3, 3, 32}, {2, 3, 33}, {3, 2, 47}}) {
    SettlingPair p;
    p.wide = with_zeros(1, {rows, n});
    p.narrow = with_zeros(2, {rows, k});
    p.drive = with_zeros(3, {rows, n});
    p.weight = with_zeros(4, {k, n}).mul_(0.3);
    p.back = with_zeros(5, {k, n}).mul_(0.3);
    p.bias = with_zeros(6, {k});
    if (!settle_pair_fits(p)) GTEST_SKIP() << "no AVX-512";
    const Tensor target = with_zeros(7, {rows, k}), push = with_zeros(8, {rows, 1});
    for (const Squash& form : kSquashes)
      for (const bool at_once : {false, true})
        for (const bool partly : {false, true}) {
          p.wide_sigma = p.narrow_sigma = form;
          p.at_once = at_once;
          p.share = partly ? 0.25 : 1;
          p.keep_wide = p.keep_narrow = partly ? 0.75 : 0;
          p.target = partly ? target : Tensor();
          p.push = partly ? push : Tensor();
          with_special_values({p.wide, p.narrow, p.drive, p.weight, p.back, p.bias, target, push},
                              [&](const std::string& what) {
                                for (const int64_t steps : {1, 2}) {
                                  SettlingPair own = p, library = p;
                                  own.wide = p.wide.clone();
                                  own.narrow = p.narrow.clone();
                                  const double moved = settle_pair(own, steps),
                                               as = by_steps(library, steps);
                                  expect_as_library(own.wide, library.wide, what, kLoose);
                                  expect_as_library(own.narrow, library.narrow, what, kLoose);
                                  expect_as_library(at::scalar_tensor(moved), at::scalar_tensor(as),
                                                    what + ", the move", kLoose);
                                }
                              });
        }
  }
}

TEST(SpecialValuesAvx512, StepsOfValues) {
  for (const auto& [rows, k, n] : kProducts) {
    const Tensor below = with_zeros(1, {rows, k}), matrix = with_zeros(2, {k, n}),
                 bias = with_zeros(3, {n}), value = with_zeros(4, {rows, n}),
                 base = with_zeros(5, {rows, n});
    if (!value_steps_fit(below)) GTEST_SKIP() << "no AVX-512";
    with_special_values({below, matrix, bias, value, base}, [&](const std::string& what) {
      const PackedMatrix weight(matrix);
      for (const Epilogue f : {Epilogue::None, Epilogue::Relu, Epilogue::Sigmoid}) {
        const Tensor a = below.mm(matrix) + bias;
        const Tensor y = f == Epilogue::Relu ? a.relu() : f == Epilogue::Sigmoid ? a.sigmoid() : a;
        const Tensor error = (y - value) * 0.5;
        Tensor credit = at::full_like(value, NAN), sent = at::full_like(value, NAN);
        predict_values({below, weight, bias, f, value, 0.5}, credit, sent);
        expect_as_library(credit, error, what, kLoose);
        expect_as_library(sent,
                          f == Epilogue::Relu      ? at::threshold_backward(error, y, 0)
                          : f == Epilogue::Sigmoid ? at::sigmoid_backward(error, y)
                                                   : error,
                          what, kLoose);
      }
      Tensor moved = value.clone();
      move_values(moved, base, below, weight, 0.75, 0.25, 0.1);
      expect_as_library(moved, value * 0.75 + base * 0.25 - below.mm(matrix) * 0.1, what, kLoose);
    });
  }
}

}  // namespace
}  // namespace altprop
