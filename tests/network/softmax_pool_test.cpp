#include "altprop/network/ops/softmax_pool.h"

#include "altprop/network/architecture.h"
#include "altprop/network/ops/pool.h"
#include "check_op.h"

namespace altprop {
namespace {

TEST(SoftmaxPool, KeepsThePromisesOfAnOperation) {
  for (const double temperature : {0.3, 1., 10.}) {
    check_op(softmax_pool2d(2, temperature), {{2, 2, 4, 6}});
    check_op(softmax_pool2d(2, temperature), {{2, 3, 5, 7}});
    check_op(softmax_pool2d(3, temperature), {{1, 2, 7, 6}});
  }
}

TEST(SoftmaxPool, LiesBetweenMaximumAndMean) {
  const Tensor x = Stream(2).at("x").normal({2, 3, 4, 6}, test::on_device(at::kDouble));
  const auto value = [&](const OpPtr& op) {
    Saved scratch;
    return op->forward(std::span(&x, 1), scratch, {});
  };
  EXPECT_LT(distance(value(softmax_pool2d(2, 1e-4)), value(max_pool2d(2))), 1e-6);
  EXPECT_LT(distance(value(softmax_pool2d(2, 1e8)), value(average_pool2d(2))), 1e-7);
  EXPECT_GT(distance(value(softmax_pool2d(2, 1)), value(max_pool2d(2))), 0.05);
}

TEST(SoftmaxPool, IsAWordWithATemperature) {
  const Graph net = network("chain: conv 3 k=3, softmaxpool 2 temperature=10, dsilu, linear 2",
                            {.input_shape = {1, 8, 8}, .classes = 2});
  EXPECT_EQ(net.node(2).op->type(), "softmax_pool2d");
  EXPECT_EQ(net.node(2).op->settings(), "kernel=2,temperature=10");
  expect_refusal([] { softmax_pool2d(0); }, "at least 1");
  expect_refusal([] { softmax_pool2d(2, 0); }, "positive");
}

}  // namespace
}  // namespace altprop
