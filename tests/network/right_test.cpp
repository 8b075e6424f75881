// When an answer is right, of every kind.
#include "altprop/network/right.h"

#include <gtest/gtest.h>

#include <limits>

#include "altprop/base/error.h"
#include "altprop/network/softmax.h"
#include "altprop/tensor/random.h"
#include "support/device.h"

namespace altprop {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

double there(const Tensor& found) {
  EXPECT_EQ(found.scalar_type(), at::kDouble);
  EXPECT_EQ(found.dim(), 0);
  return found.item<double>();
}

TEST(Right, TheLargestOutputIsTheClass) {
  const Tensor output = Stream(1).normal({50, 7}, test::on_device(at::kFloat)),
               target = Stream(2).uniform(0, 7, {50}, at::kDouble).to(test::on_device(at::kLong));
  EXPECT_EQ(there(right::largest(output, target)),
            output.argmax(1).eq(target).sum().item<int64_t>());
}

TEST(Right, TheFirstSpikeIsTheClassAndSilenceIsNone) {
  const Tensor times = at::tensor({2.0, 1.0, 3.0,           //
                                   kNever, 5.0, kNever,     //
                                   kNever, kNever, kNever,  // nothing fires
                                   1.0, 1.0, 2.0})          // the first of two at once
                           .view({4, 3});
  EXPECT_EQ(there(right::earliest(times, at::tensor({1, 1, 0, 0}, at::kLong))), 3);
  EXPECT_EQ(there(right::earliest(times, at::tensor({0, 0, 1, 1}, at::kLong))), 0);
}

TEST(Right, UnitsVoteForTheirClass) {
  const Tensor votes = at::tensor({1.0, 0.0, 2.0, 0.0, 0.0, 4.0,   // class 0 has 3, class 1 has 4
                                   1.0, 3.0, 1.0, 0.0, 1.5, 0.0})  // 3.5 and 3
                           .view({2, 6});
  EXPECT_EQ(there(right::largest_sum(votes, at::tensor({1, 0}, at::kLong), 2)), 2);
  EXPECT_EQ(there(right::largest_sum(votes, at::tensor({0, 1}, at::kLong), 2)), 0);
  EXPECT_THROW(right::largest_sum(votes, at::tensor({1, 0}, at::kLong), 4), UsageError);
  EXPECT_THROW(right::largest_sum(votes, at::tensor({1, 0}, at::kLong), 0), UsageError);
}

TEST(Right, EveryValueOfASampleHasToBeNear) {
  const Tensor target = at::zeros({3, 2}, at::kDouble),
               output = at::tensor({0.1, -0.1, 0.1, 0.2, NAN, 0.0}, at::kDouble).view({3, 2});
  EXPECT_EQ(there(right::within(output, target, 0.1)), 1);
  EXPECT_EQ(there(right::within(output, target, 0.2)), 2);
  EXPECT_EQ(there(right::within(output, target, kNever)), 2) << "NaN is near nothing";
  EXPECT_THROW(right::within(output, at::zeros({3, 1}, at::kDouble), 1), UsageError);
}

}  // namespace
}  // namespace altprop
