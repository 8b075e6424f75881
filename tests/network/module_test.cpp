#include "altprop/network/ops/module.h"
#include "altprop/network/gradients.h"

#include <torch/nn/modules.h>

#include "altprop/network/graph.h"
#include "check_op.h"

namespace altprop {
namespace {

TEST(AutogradOp, AUsersOwnFunctionKeepsTheContract) {
  check_op(autograd_op("swish", [](auto x) { return x[0] * at::sigmoid(x[0]); }), {{3, 4}});
  check_op(autograd_op(
               "mix", [](auto x) { return at::sin(x[0]) * x[1] + x[1]; }, 2),
           {{3, 4}, {3, 4}});
  check_op(autograd_op("same", [](auto x) { return x[0]; }), {{3, 4}});
  check_op(autograd_op("rows", [](auto x) { return at::softmax(x[0], 1).narrow(1, 0, 2); }),
           {{3, 4}});
}

TEST(Module, KeepsTheContract) {
  check_op(module(torch::nn::Linear(4, 3)), {{3, 4}});
  check_op(module(torch::nn::Sequential(torch::nn::Conv2d(2, 3, 3), torch::nn::Tanh(),
                                        torch::nn::Flatten(), torch::nn::Linear(12, 2))),
           {{2, 2, 4, 4}});
  check_op(module(torch::nn::Sequential(torch::nn::Linear(4, 6), torch::nn::Dropout(0.5),
                                        torch::nn::Linear(6, 2))),
           {{3, 4}});
}

TEST(Module, ABatchNormInsideIsDifferentiatedOverTheWholeBatch) {
  check_op(module(torch::nn::Sequential(torch::nn::Linear(4, 6), torch::nn::BatchNorm1d(6),
                                        torch::nn::Linear(6, 2))),
           {{5, 4}}, {.float_tolerance = 1e-3});
}

TEST(Module, SharesItsParametersBothWays) {
  const torch::nn::Linear inner(3, 2);
  const OpPtr op = module(inner);
  op->build(std::vector<Spec>{{{3}}});
  const std::vector<Tensor> x = {at::randn({4, 3})};
  Saved saved;
  const Tensor before = op->forward(x, saved, {});
  op->params()[1]->value.add_(1);
  EXPECT_TRUE(at::allclose(op->forward(x, saved, {}), before + 1, 1e-5, 1e-6));
  EXPECT_TRUE(at::equal(inner->bias.detach(), op->params()[1]->value));
  // An updater moves the parameters into one flat buffer.
  const Tensor flat_buffer = at::zeros({8});
  op->params()[0]->value = flat_buffer.narrow(0, 0, 6).view({2, 3});
  op->params()[1]->value = flat_buffer.narrow(0, 6, 2);
  flat_buffer.fill_(0.5);
  const Tensor y = op->forward(x, saved, {});
  EXPECT_TRUE(at::allclose(y, 0.5 * x[0].sum(1, true).expand({4, 2}) + 0.5, 1e-5, 1e-6));
  // Other weights, same activity: the tape is stale, and the derivative is that of the new weights.
  flat_buffer.fill_(2);
  EXPECT_TRUE(at::allclose(op->vjp(saved, at::ones({4, 2})), at::full({4, 3}, 4.)));
  EXPECT_TRUE(at::equal(inner->weight.detach(), at::full({2, 3}, 2.)));
}

TEST(Module, ChangedWeightsMeetTheSameActivity) {
  // The tape of the forward pass has kept tanh's old output: it must not be used any more.
  const OpPtr op = module(torch::nn::Sequential(torch::nn::Linear(3, 2), torch::nn::Tanh()));
  const std::vector<Tensor> x = {at::randn({4, 3})};
  const Tensor cot = at::randn({4, 2});
  Saved old, fresh;
  op->forward(x, old, {});
  op->vjp(old, cot);  // leaves results for accumulate, which are stale from here on
  op->params()[0]->value.mul_(2);
  op->forward(x, fresh, {});
  EXPECT_TRUE(at::allclose(op->vjp(old, cot), op->vjp(fresh, cot)));
  Gradients of_fresh, of_old;
  op->accumulate(fresh, cot, 1, of_fresh);
  op->accumulate(old, cot, 1, of_old);
  const Param& weight = *op->params()[0];
  EXPECT_TRUE(at::allclose(of_old.of_param(weight), of_fresh.of_param(weight)));
}

TEST(Module, DrawsComeFromThePassAndLeaveTheGlobalGeneratorAlone) {
  const OpPtr op = module(torch::nn::Dropout(0.5));
  const std::vector<Tensor> x = {at::ones({1, 100})};
  Saved saved;
  at::manual_seed(3);
  const Tensor expected = at::rand({5});
  at::manual_seed(3);
  const Tensor a = op->forward(x, saved, {Mode::Train, Stream(1)});
  EXPECT_TRUE(at::equal(at::rand({5}), expected));
  EXPECT_TRUE(at::equal(op->forward(x, saved, {Mode::Train, Stream(1)}), a));
  EXPECT_FALSE(at::equal(op->forward(x, saved, {Mode::Train, Stream(2)}), a));
  EXPECT_TRUE(at::equal(op->forward(x, saved, {Mode::Eval}), x[0]));
  EXPECT_TRUE(op->traits().draws_for_batch);
  Graph around;
  around.output(around.add(op, {around.input({{100}})}));
  EXPECT_TRUE(around.traits().draws_for_batch);
}

TEST(Module, NamesOfTwoModulesInOneGraphDiffer) {
  Graph net;
  int h = net.input({{3}});
  h = net.add(module(torch::nn::Sequential(torch::nn::Linear(3, 3))), {h});
  h = net.add(module(torch::nn::Sequential(torch::nn::Linear(3, 3))), {h}, "top");
  net.output(h);
  EXPECT_EQ(net.params()[0]->name, "module1.0.weight");
  EXPECT_EQ(net.params()[2]->name, "top.0.weight");
}

TEST(Module, RefusesWhatItCannotDo) {
  const OpPtr op = module(torch::nn::Linear(3, 2));
  expect_refusal([&] { op->infer(std::vector<Spec>{{{4}}}); },
                 "does not accept samples of shape [4]");
  Saved saved;
  op->forward(std::vector<Tensor>{at::ones({1, 3})}, saved, {});
  const Tensor m = at::ones({2, 3});
  expect_refusal([&] { op->vjp(saved, at::ones({1, 2}), 0, &m); }, "hidden");
  expect_refusal(
      [] {
        autograd_op("sum", [](auto x) { return x[0].sum(); })->infer(std::vector<Spec>{{{4}}});
      },
      "not one row per sample");
}

}  // namespace
}  // namespace altprop
