#include "altprop/network/ops/conv.h"

#include "check_op.h"

namespace altprop {
namespace {

TEST(Conv, EveryCombinationOfSettingsKeepsTheContract) {
  for (int64_t stride : {1, 2})
    for (int64_t padding : {0, 1})
      for (int64_t dilation : {1, 2})
        for (int64_t groups : {1, 2})
          for (bool bias : {true, false})
            check_op(conv2d({.out = 4,
                             .kernel = 2,
                             .kernel_w = 3,
                             .stride = stride,
                             .padding = padding,
                             .dilation = dilation,
                             .groups = groups,
                             .bias = bias}),
                     {{2, 2, 5, 6}});
}

TEST(Conv, OneDimensional) {
  for (int64_t stride : {1, 3})
    for (int64_t padding : {0, 2})
      for (int64_t dilation : {1, 2})
        check_op(conv1d({.out = 3,
                         .kernel = 3,
                         .stride = stride,
                         .padding = padding,
                         .dilation = dilation,
                         .groups = 1,
                         .bias = stride == 1}),
                 {{2, 2, 8}});
  check_op(conv1d({.out = 4, .kernel = 2, .groups = 4}), {{3, 4, 5}});  // depthwise
}

TEST(Conv, Transposed) {
  for (int64_t stride : {1, 2})
    for (int64_t padding : {0, 1})
      for (int64_t dilation : {1, 2})
        for (int64_t groups : {1, 2})
          check_op(conv_transpose2d({.out = 4,
                                     .kernel = 3,
                                     .kernel_w = 2,
                                     .stride = stride,
                                     .padding = padding,
                                     .dilation = dilation,
                                     .groups = groups,
                                     .bias = padding == 1,
                                     .output_padding = stride - 1}),
                   {{2, 2, 3, 4}});
}

TEST(Conv, PointwiseAndWholeImageKernels) {
  check_op(conv2d({.out = 3, .kernel = 1}), {{2, 4, 3, 3}});
  check_op(conv2d({.out = 3, .kernel = 5}), {{2, 2, 5, 5}});
  check_op(conv2d({.out = 2, .kernel = 1, .stride = 2}), {{1, 2, 5, 5}});
}

TEST(Conv, VjpNeedsOnlyTheShapeOfTheInput) {
  const OpPtr op = conv2d({.out = 3, .stride = 2, .padding = 1});
  op->build(std::vector<Spec>{{{2, 6, 6}}});
  op->weight()->value.normal_();
  Saved saved;
  const Tensor y = op->forward(std::vector<Tensor>{at::randn({2, 2, 6, 6})}, saved, {});
  const Tensor cot = at::randn(y.sizes()), full = op->vjp(saved, cot);
  saved.t[0].fill_(NAN);
  EXPECT_TRUE(at::equal(op->vjp(saved, cot), full));
  saved.t.clear();
  EXPECT_TRUE(at::equal(op->vjp(saved, cot), full));
}

TEST(Conv, ATiedConvolutionSharesItsParameters) {
  const OpPtr a = conv2d({.out = 2, .padding = 1});
  a->build(std::vector<Spec>{{{2, 4, 4}}});
  const OpPtr b = conv2d({.out = 0, .padding = 1}, a->params()[0], a->params()[1]);
  EXPECT_EQ(b->settings(), a->settings());
  b->build(std::vector<Spec>{{{2, 5, 5}}});
  EXPECT_EQ(b->params(), a->params());
  expect_refusal([&] { b->infer(std::vector<Spec>{{{3, 5, 5}}}); }, "shared weight has the shape");
}

TEST(Conv, CountsItsMultiplyAdds) {
  const std::vector<Spec> in = {{{4, 8, 8}}};
  EXPECT_EQ(conv2d({.out = 6, .padding = 1})->multiply_adds(in), 8 * 8 * 6 * 4 * 9);
  EXPECT_EQ(conv2d({.out = 6, .padding = 1, .groups = 2})->multiply_adds(in), 8 * 8 * 6 * 2 * 9);
  EXPECT_EQ(conv_transpose2d({.out = 6, .stride = 2})->multiply_adds(in), 8 * 8 * 4 * 6 * 9);
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const auto on = [](const OpPtr& op, std::vector<int64_t> shape) {
    return [=] { op->infer(std::vector<Spec>{{shape}}); };
  };
  expect_refusal(on(conv2d({.out = 2}), {10}), "[channels, height, width] are expected");
  expect_refusal(on(conv1d({.out = 2}), {3, 8, 8}), "[channels, length] are expected");
  expect_refusal(on(conv2d({.out = 2, .kernel = 5}), {1, 4, 8}), "a window of 5 does not fit");
  expect_refusal(on(conv2d({.out = 4, .groups = 2}), {3, 8, 8}), "cannot be divided into 2 groups");
  expect_refusal(on(conv_transpose2d({.out = 1, .kernel = 1, .padding = 2}), {1, 3, 3}),
                 "nothing is left");
  expect_refusal([] { conv2d({.out = 0}); }, "output channels must be at least 1");
  expect_refusal([] { conv2d({.out = 3, .groups = 2}); }, "cannot be divided into 2 groups");
  expect_refusal([] { conv2d({.out = 3, .output_padding = 1}); }, "only a transposed");
  expect_refusal([] { conv_transpose2d({.out = 3, .output_padding = 1}); }, "must be smaller");
  expect_refusal([] { conv1d({.out = 3, .kernel_w = 2}); }, "use conv2d");
}

}  // namespace
}  // namespace altprop
