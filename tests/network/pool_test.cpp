#include "altprop/network/ops/pool.h"

#include "check_op.h"

namespace altprop {
namespace {

TEST(Pool, WindowsThatOverlapLeaveRemaindersOrReachIntoThePadding) {
  struct Case {
    int64_t kernel, stride, padding;
  };
  for (const Case& c :
       {Case{2, 0, 0}, Case{3, 2, 1}, Case{3, 1, 0}, Case{2, 3, 1}, Case{1, 2, 0}}) {
    check_op(max_pool2d(c.kernel, c.stride, c.padding), {{2, 2, 5, 6}});
    check_op(average_pool2d(c.kernel, c.stride, c.padding), {{2, 2, 5, 6}});
    check_op(max_pool1d(c.kernel, c.stride, c.padding), {{2, 3, 7}});
    check_op(average_pool1d(c.kernel, c.stride, c.padding), {{2, 3, 7}});
  }
}

TEST(Pool, GlobalAverage) {
  check_op(global_average_pool(), {{2, 3, 4, 5}});
  check_op(global_average_pool(), {{2, 3, 7}});
}

TEST(Pool, OfEqualValuesTheFirstTakesAllTheCredit) {
  const OpPtr op = max_pool2d(2);
  Saved saved;
  op->forward(std::vector<Tensor>{at::ones({1, 1, 2, 4})}, saved, {});
  const Tensor pulled = op->vjp(saved, at::ones({1, 1, 1, 2}));
  EXPECT_TRUE(at::equal(pulled.view({-1}), at::tensor({1.f, 0.f, 1.f, 0.f, 0.f, 0.f, 0.f, 0.f})));
}

TEST(Pool, RefusesWhatDoesNotFit) {
  expect_refusal([] { max_pool2d(0); }, "must be at least 1");
  expect_refusal([] { average_pool2d(2, 2, 2); }, "half the kernel");
  expect_refusal(
      [] {
        max_pool2d(3)->infer(std::vector<Spec>{{{2, 2, 5}}});
      },
      "a window of 3 does not fit an input of 2");
  expect_refusal([] { max_pool2d(3)->infer(std::vector<Spec>{{{20}}}); }, "max_pool2d: samples of");
  expect_refusal([] { global_average_pool()->infer(std::vector<Spec>{{{20}}}); }, "positions");
}

}  // namespace
}  // namespace altprop
