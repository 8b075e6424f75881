// The own kernel for the input credit of convolutions with few input channels against the library's
// in float64.
#include "altprop/tensor/narrow_conv.h"

#include <ATen/Parallel.h>
#include <ATen/ops/convolution_backward.h>
#include <gtest/gtest.h>

#include "altprop/probes/kernels.h"
#include "altprop/tensor/random.h"

namespace altprop {
namespace {

struct ConvCase {
  int64_t images, in, out, h, w, kh, kw, padding;
};

Tensor channels_last(const Tensor& t) { return t.contiguous(at::MemoryFormat::ChannelsLast); }

Tensor library(const Tensor& credit, const Tensor& weight, const ConvCase& c) {
  const Tensor input =
      at::zeros({c.images, c.in, c.h + c.kh - 1 - 2 * c.padding, c.w + c.kw - 1 - 2 * c.padding},
                at::kDouble);
  return std::get<0>(at::convolution_backward(credit.to(at::kDouble), input, weight.to(at::kDouble),
                                              {}, {1, 1}, {c.padding, c.padding}, {1, 1}, false,
                                              {0, 0}, 1, {true, false, false}));
}

TEST(NarrowCredit, IsThatOfTheLibrary) {
  // One to four vectors in a row of the window, full and cut; fewer columns than the window has;
  // more windows than are taken together.
  for (const ConvCase& c : {ConvCase{2, 6, 16, 10, 10, 5, 5, 0}, ConvCase{1, 1, 3, 4, 7, 3, 3, 1},
                            ConvCase{3, 12, 20, 6, 9, 3, 5, 0}, ConvCase{2, 8, 5, 2, 1, 2, 2, 0},
                            ConvCase{1, 4, 7, 13, 17, 1, 12, 0}, ConvCase{2, 3, 6, 8, 8, 5, 5, 2},
                            ConvCase{1, 12, 2, 3, 3, 5, 5, 1}, ConvCase{1, 5, 1, 1, 1, 1, 1, 0}}) {
    const Stream s(static_cast<uint64_t>(c.in * 100 + c.out));
    const Tensor credit = channels_last(s.at("credit").normal({c.images, c.out, c.h, c.w})),
                 weight = s.at("weight").normal({c.out, c.in, c.kh, c.kw});
    if (!narrow_credit_fits(credit, weight, c.padding)) GTEST_SKIP() << "no AVX-512";
    const Tensor expected = library(credit, weight, c);
    for (const Tensor& w : {weight, channels_last(weight)}) {
      const Tensor own = narrow_credit(credit, w, c.padding);
      ASSERT_EQ(own.sizes(), expected.sizes());
      EXPECT_LT((own.to(at::kDouble) - expected).norm().item<double>(),
                1e-6 * expected.norm().item<double>())
          << c.in << " channels";
    }
  }
}

TEST(NarrowCredit, DoesNotDependOnTheThreads) {
  const Tensor credit = channels_last(Stream(1).normal({7, 16, 10, 10})),
               weight = Stream(2).normal({16, 6, 5, 5});
  if (!narrow_credit_fits(credit, weight, 0)) GTEST_SKIP() << "no AVX-512";
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const Tensor alone = narrow_credit(credit, weight, 0);
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(narrow_credit(credit, weight, 0), alone));
  at::set_num_threads(before);
}

TEST(NarrowCredit, CountsAsTheConvolutionItIs) {
  const Tensor credit = channels_last(Stream(1).normal({7, 16, 10, 10})),
               weight = Stream(2).normal({16, 6, 5, 5}),
               input = channels_last(at::zeros({7, 6, 14, 14}));
  if (!narrow_credit_fits(credit, weight, 0)) GTEST_SKIP() << "no AVX-512";
  const auto own = count_kernels([&] { narrow_credit(credit, weight, 0); });
  const auto usual = count_kernels([&] {
    at::convolution_backward(credit, input, weight, {}, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 1,
                             {true, false, false});
  });
  ASSERT_EQ(own.size(), 1u);
  ASSERT_EQ(usual.size(), 1u);
  EXPECT_EQ(own[0].kernel.name(), usual[0].kernel.name());
}

TEST(NarrowCredit, IsNotForWideOrOtherLayouts) {
  const Tensor weight = at::zeros({16, 6, 5, 5}), credit = at::zeros({2, 16, 10, 10});
  EXPECT_FALSE(narrow_credit_fits(credit, weight, 0)) << "channels first";
  EXPECT_FALSE(narrow_credit_fits(channels_last(credit), at::zeros({16, 13, 3, 3}), 0));
  EXPECT_FALSE(narrow_credit_fits(channels_last(credit), at::zeros({16, 12, 6, 6}), 0));
  EXPECT_FALSE(narrow_credit_fits(channels_last(credit).to(at::kDouble), weight, 0));
  EXPECT_FALSE(narrow_credit_fits(channels_last(credit), weight, 7)) << "nothing is left";
}

}  // namespace
}  // namespace altprop
