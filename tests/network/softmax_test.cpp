#include "altprop/network/softmax.h"

#include <gtest/gtest.h>

#include "altprop/network/loss.h"
#include "altprop/tensor/own_kernels.h"
#include "altprop/tensor/random.h"

namespace altprop {
namespace {

TEST(Softmax, EqualsTheLibrarysOperators) {
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const Tensor y = Stream(1).normal({32, 10}, dtype).mul_(5);
    const Tensor classes = Stream(2).uniform(0, 10, {32}).to(at::kLong);
    if (!own_kernel_is_on(OwnKernel::SoftmaxRows)) GTEST_SKIP() << "turned off";
    ASSERT_TRUE(softmax_rows_fit(y, classes));
    const double tolerance = dtype == at::kFloat ? 1e-5 : 1e-12;
    const Tensor value = at::log_softmax(y, 1).gather(1, classes.unsqueeze(1)).squeeze(1).neg();
    EXPECT_TRUE(at::allclose(softmax_loss(y, classes), value, tolerance, tolerance));
    const Tensor gradient = at::softmax(y, 1) - Loss::as_rows(classes, y);
    EXPECT_TRUE(at::allclose(softmax_loss_gradient(y, classes), gradient, tolerance, tolerance));
    EXPECT_EQ(count_right(y, classes), y.argmax(1).eq(classes).sum().item<int64_t>());
  }
}

TEST(Softmax, OtherRowsTakeTheLibrarysWayToTheSameNumbers) {
  const auto loss = make_loss("cross-entropy");
  const Tensor y = Stream(1).normal({4, 6}), classes = at::tensor({5, 0, 2, 2}, at::kLong);
  const Tensor strided = y.t().contiguous().t();
  ASSERT_FALSE(softmax_rows_fit(strided, classes));
  EXPECT_TRUE(at::allclose(loss->value(strided, classes), loss->value(y, classes)));
  EXPECT_TRUE(
      at::allclose(loss->gradient(strided, classes), loss->gradient(y, classes), 1e-5, 1e-6));
  EXPECT_EQ(count_right(strided, classes), count_right(y, classes));
}

TEST(Softmax, ExtremesAndDivergence) {
  const Tensor classes = at::tensor({0, 0, 1}, at::kLong);
  const Tensor y = at::tensor({1e4f, -1e4f, -1e4f, 1e4f, 0.0f, NAN}).view({3, 2});
  const Tensor loss = softmax_loss(y, classes);
  EXPECT_EQ(loss[0].item<float>(), 0);
  EXPECT_EQ(loss[1].item<float>(), 2e4f);
  EXPECT_TRUE(std::isnan(loss[2].item<float>())) << "divergence has to show";
  EXPECT_EQ(count_right(at::zeros({3, 2}), classes), 2) << "of equal numbers the first wins";
}

TEST(Softmax, RangeOfClasses) {
  EXPECT_EQ(range_of(at::tensor({3, -1, 7}, at::kLong)), (std::pair<int64_t, int64_t>{-1, 7}));
  EXPECT_EQ(range_of(at::tensor({3, 1}, at::kInt)), (std::pair<int64_t, int64_t>{1, 3}));
}

}  // namespace
}  // namespace altprop
