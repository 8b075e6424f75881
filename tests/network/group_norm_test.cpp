// Group norm and periodic borders.
#include "altprop/network/ops/group_norm.h"

#include <ATen/core/grad_mode.h>

#include "altprop/network/ops/circular_pad.h"
#include "altprop/network/ops/norm.h"
#include "network/check_op.h"

namespace altprop {
namespace {

TEST(GroupNorm, KeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  OpCheck(group_norm(2), {{3, 4, 3, 2}}).run();
  OpCheck(group_norm(3), {{4, 12}}).run();
  OpCheck(group_norm(1), {{2, 2, 5}}).run();
}

/// One group is layer norm over all values, but for the shape of gain and bias.
TEST(GroupNorm, OneGroupIsLayerNorm) {
  at::NoGradGuard no_grad;
  const Tensor x = Stream(1).at("x").normal({3, 4, 2, 2}, at::kDouble);
  Graph a, b;
  a.output(a.add(group_norm(1), {a.input({{4, 2, 2}})}));
  b.output(b.add(layer_norm(1e-5, true), {b.input({{4, 2, 2}})}));
  a.to(at::kCPU, at::kDouble);
  b.to(at::kCPU, at::kDouble);
  expect_close(a.predict(x), b.predict(x), 1e-14, "output");
}

TEST(GroupNorm, GroupsThatDoNotDivideAreRefused) {
  Graph net;
  const int x = net.input({{4, 3, 3}});
  EXPECT_THROW(net.add(group_norm(3), {x}), Refusal);
  Graph flat;
  const int y = flat.input({{4}});
  EXPECT_THROW(flat.add(group_norm(4), {y}), Refusal);
}

TEST(CircularPad, KeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  OpCheck(circular_pad(1), {{2, 3, 4, 3}}).run();
  OpCheck(circular_pad(2), {{2, 3, 5}}).run();
  OpCheck(circular_pad(2), {{2, 1, 2, 3}}).run();
}

TEST(CircularPad, TheOtherSideEnters) {
  Saved saved;
  const Tensor x = at::arange(4, at::kDouble).view({1, 1, 4});
  const Tensor y = circular_pad(2)->forward(std::vector<Tensor>{x}, saved, {});
  EXPECT_TRUE(at::equal(
      y, at::tensor({2.0, 3.0, 0.0, 1.0, 2.0, 3.0, 0.0, 1.0}, at::kDouble).view({1, 1, 8})));
  Graph net;
  const int line = net.input({{1, 1}});
  EXPECT_THROW(net.add(circular_pad(2), {line}), Refusal);
}

}  // namespace
}  // namespace altprop
