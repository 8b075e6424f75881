#include "altprop/network/ops/norm.h"
#include "altprop/network/gradients.h"
#include "altprop/network/ops/diagonal.h"
#include "altprop/network/ops/group_norm.h"

#include "check_op.h"

namespace altprop {
namespace {

TEST(BatchNorm, DerivativesIncludeTheBatchStatistics) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{5, 3}, {3, 2, 4}, {3, 2, 3, 2}})
    check_op(batch_norm(1e-3, 0.2), {shape}, {.many_cotangents = false, .float_tolerance = 1e-3});
}

TEST(BatchNorm, InEvaluationItIsAffine) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{5, 3}, {3, 2, 4}, {3, 2, 3, 2}})
    check_op(batch_norm(), {shape}, {.mode = Mode::Eval});
}

TEST(Norms, ShowTheRowsOfTheirGains) {
  const Tensor x = Stream(1).normal({5, 4, 3}, at::kDouble);
  const Spec in{{4, 3}};
  for (const auto& [op, each] : std::vector<std::pair<OpPtr, int64_t>>{
           {batch_norm(), 3},
           {std::make_shared<FixedBatchNorm>(1e-5, 0.1), 3},
           {group_norm(2), 3},
           {layer_norm(), 4},
           {layer_norm(1e-5, true), 1},
           {diagonal(), 1}}) {
    op->build({&in, 1});
    for (const ParamPtr& p : op->params()) p->value = p->value.to(at::kDouble);
    for (auto& [name, buffer] : op->buffers()) *buffer = buffer->to(at::kDouble);
    Saved saved;
    op->forward({&x, 1}, saved, {.mode = Mode::Train});
    const auto rows = op->rows(saved, at::ones_like(x));
    ASSERT_TRUE(rows) << op->type();  // which check_op compares with the gradient
    EXPECT_TRUE(rows->elementwise) << op->type();
    EXPECT_EQ(rows->samples, 5) << op->type();
    EXPECT_EQ(rows->per_sample, each) << op->type();
  }
}

struct Built {
  OpPtr op = batch_norm(1e-5, 0.25);
  Tensor *mean, *var;
  Built() {
    op->build(std::vector<Spec>{{{2}}});
    mean = op->buffers()[0].second;
    var = op->buffers()[1].second;
  }
};

TEST(BatchNorm, RunningStatisticsMoveByTheMomentumTowardsTheUnbiasedVariance) {
  Built b;
  const Tensor x = at::tensor({1.f, 0.f, 3.f, 4.f}).view({2, 2});
  Saved saved;
  b.op->forward(std::vector<Tensor>{x}, saved, {Mode::Train});
  EXPECT_TRUE(at::allclose(*b.mean, at::tensor({0.5f, 0.5f})));
  EXPECT_TRUE(at::allclose(*b.var, at::tensor({0.75f + 0.5f, 0.75f + 2.f})));
}

TEST(BatchNorm, ReplayOfAMovedStateKeepsTheStatistics) {
  Built b;
  const Tensor x = at::randn({6, 2}), moved = x + 1;
  Saved saved;
  const Tensor y = b.op->forward(std::vector<Tensor>{x}, saved, {Mode::Train});
  const Tensor scale = saved.t[2].clone();
  const Tensor z = b.op->forward(std::vector<Tensor>{moved}, saved, {Mode::Replay});
  EXPECT_TRUE(at::allclose(z, y + scale, 1e-5, 1e-5));
}

TEST(BatchNorm, LaterTrainPassesDoNotReachIntoAnEvaluationPass) {
  Built b;
  Saved eval, train;
  const Tensor x = at::randn({6, 2}), cot = at::randn({6, 2});
  b.op->forward(std::vector<Tensor>{x}, eval, {Mode::Eval});
  const Tensor before = b.op->vjp(eval, cot);
  b.op->forward(std::vector<Tensor>{10 * x}, train, {Mode::Train});
  EXPECT_TRUE(at::equal(b.op->vjp(eval, cot), before));
}

TEST(BatchNorm, WhatThePullSharesIsForItsOwnCotangentAlone) {
  Built b;
  Saved saved;
  const Tensor cot = at::randn({6, 2});
  for (double factor : {1.0, -1.0}) {
    b.op->forward(std::vector<Tensor>{factor * at::arange(12).view({6, 2})}, saved, {Mode::Train});
    Gradients alone, together, of_another;
    b.op->accumulate(saved, cot, 1, alone);
    Feedback exact;
    Shared shared;
    Sweep sweep{exact, &together};
    sweep.shared = &shared;
    const char wanted = 1;
    b.op->credit(saved, cot, {&wanted, 1}, nullptr, sweep);
    ASSERT_EQ(shared.t.size(), 2u);
    b.op->accumulate(saved, cot, 1, together, nullptr, &shared);
    b.op->accumulate(saved, -cot, 1, of_another, nullptr, &shared);
    const Param& gain = *b.op->params()[0];
    EXPECT_TRUE(at::allclose(together.of_param(gain), alone.of_param(gain)));
    EXPECT_TRUE(at::allclose(of_another.of_param(gain), -alone.of_param(gain)));
  }
}

TEST(BatchNorm, RefusesWhatDoesNotFit) {
  Built b;
  Saved saved;
  expect_refusal(
      [&] {
        b.op->forward(std::vector<Tensor>{at::ones({1, 2})}, saved, {Mode::Train});
      },
      "one value per channel");
  expect_refusal([&] { b.op->infer(std::vector<Spec>{{{3}}}); }, "normalises 2 channels");
  expect_refusal([] { batch_norm(0); }, "eps must be positive");
  expect_refusal([] { batch_norm(1e-5, 2); }, "momentum must be between");
  EXPECT_EQ(b.op->weight(), nullptr);
}

TEST(LayerNorm, OverTheLastOrAllDimensions) {
  check_op(layer_norm(), {{3, 5}});
  check_op(layer_norm(1e-2), {{2, 3, 4}});
  check_op(layer_norm(1e-5, true), {{2, 3, 4}});
  check_op(layer_norm(1e-5, true), {{2, 2, 3, 2}});
}

TEST(LayerNorm, RefusesAnInputOfAnotherWidth) {
  const OpPtr op = layer_norm();
  op->build(std::vector<Spec>{{{4}}});
  expect_refusal([&] { op->infer(std::vector<Spec>{{{5}}}); }, "it normalises features of shape");
}

}  // namespace
}  // namespace altprop
