// Operations that need little more than the common checks.
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/diagonal.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/scale.h"
#include "altprop/network/ops/shape.h"
#include "check_op.h"

namespace altprop {
namespace {

TEST(Linear, KeepsTheContract) {
  for (bool bias : {true, false}) {
    check_op(linear(3, bias), {{4, 5}});
    check_op(linear(3, bias), {{2, 4, 5}});
    check_op(linear(1, bias), {{2, 2, 3, 1}});
  }
}

TEST(Diagonal, KeepsTheContract) {
  for (bool bias : {true, false}) {
    check_op(diagonal(bias), {{4, 5}});
    check_op(diagonal(bias), {{3, 2, 4}});
  }
  const OpPtr op = diagonal();
  op->build(std::vector<Spec>{{{4}}});
  expect_refusal([&] { op->infer(std::vector<Spec>{{{5}}}); }, "it has weights of shape [4]");
}

TEST(Scale, KeepsTheContract) {
  check_op(scale(-0.3), {{4, 5}});
  check_op(scale(2), {{2, 3, 4}});
  EXPECT_THROW(scale(0), UsageError);
}

TEST(Activation, EveryNameKeepsTheContract) {
  for (const std::string& name : Activation::names()) check_op(activation(name), {{4, 6}});
  for (const char* name : {"leaky-relu(0.3)", "leaky-relu(0)", "elu(0.5)"})
    check_op(activation(name), {{4, 6}});
}

TEST(Activation, InPlaceAndOutOfPlaceAgree) {
  for (const std::string& name : Activation::names()) {
    const OpPtr op = activation(name);
    if (!op->works_in_place()) continue;
    Saved saved, in_place;
    const Tensor x = Stream(3).normal({7, 9}), copy = x.clone(), cot = Stream(4).normal({7, 9});
    const Tensor y = op->forward(std::vector<Tensor>{x}, saved, {});
    const Tensor z = op->forward(std::vector<Tensor>{copy}, in_place, {.overwrite = true});
    EXPECT_TRUE(at::equal(y, z)) << name;
    EXPECT_TRUE(z.is_alias_of(copy)) << name;
    EXPECT_TRUE(at::equal(op->vjp(saved, cot), op->vjp(in_place, cot))) << name;
  }
}

double slope(const std::string& name, double x) {
  Saved saved;
  const OpPtr op = activation(name);
  op->forward(std::vector<Tensor>{at::full({1, 1}, x, at::kDouble)}, saved, {});
  return op->vjp(saved, at::ones({1, 1}, at::kDouble)).item<double>();
}

TEST(Activation, AtAKinkTheDerivativeIsThatOfTheFlatSide) {
  EXPECT_EQ(slope("relu", 0), 0);
  EXPECT_EQ(slope("leaky-relu(0.1)", 0), 0.1);
  EXPECT_EQ(slope("elu", 0), 1);  // smooth there
  for (const char* name : {"hard-sigmoid", "half-hard-sigmoid"}) {
    EXPECT_EQ(slope(name, 0), 0) << name;
    EXPECT_EQ(slope(name, 2), 0) << name;
  }
  EXPECT_EQ(slope("hard-sigmoid", 1), 0);
  EXPECT_EQ(slope("hard-sigmoid", 0.5), 1);
  EXPECT_EQ(slope("half-hard-sigmoid", 1), 0.5);
  EXPECT_EQ(slope("centred-hard-sigmoid", 0.5), 0);
  EXPECT_EQ(slope("centred-hard-sigmoid", -0.5), 0);
  EXPECT_EQ(slope("centred-hard-sigmoid", 0), 1);
}

TEST(Activation, RefusesUnknownNamesAndParameters) {
  expect_refusal([] { activation("rleu"); }, "did you mean 'relu'");
  expect_refusal([] { activation("relu(2)"); }, "takes no parameter");
  expect_refusal([] { activation("elu(-1)"); }, "at least 0");
}

TEST(Shape, KeepTheContract) {
  check_op(flatten(), {{2, 3, 4}});
  check_op(reshape({2, -1, 3}), {{2, 12}});
  check_op(upsample2d(2), {{2, 2, 3, 4}});
  check_op(upsample2d(3, "bilinear"), {{2, 2, 3, 2}});
  check_op(shortcut_a(2, 6), {{2, 2, 5, 4}});
  check_op(shortcut_a(1, 5), {{2, 2, 3, 3}});
  check_op(shortcut_a(1, 2), {{2, 2, 3, 3}});
}

TEST(Shape, TheShortcutPadsBeforeAndBehind) {
  Saved saved;
  const Tensor x = at::randn({1, 2, 4, 4});
  const Tensor y = shortcut_a(2, 4)->forward(std::vector<Tensor>{x}, saved, {});
  EXPECT_TRUE(at::equal(y.narrow(1, 1, 2), x.slice(2, 0, 4, 2).slice(3, 0, 4, 2)));
  EXPECT_EQ(y.select(1, 0).abs().sum().item<float>() + y.select(1, 3).abs().sum().item<float>(), 0);
}

TEST(Shape, RefuseWhatDoesNotFit) {
  expect_refusal([] { reshape({2, 5})->infer(std::vector<Spec>{{{12}}}); }, "do not fill [2, 5]");
  expect_refusal([] { reshape({5, -1})->infer(std::vector<Spec>{{{12}}}); }, "do not fill");
  expect_refusal([] { reshape({-1, -1}); }, "only one extent");
  expect_refusal([] { reshape({}); }, "use flatten");
  expect_refusal([] { upsample2d(2, "cubic"); }, "use nearest or bilinear");
  expect_refusal([] { shortcut_a(2, 1)->infer(std::vector<Spec>{{{2, 4, 4}}}); }, "only add");
}

TEST(Combine, KeepTheContract) {
  check_op(add(), {{2, 3}, {2, 3}});
  check_op(add(3), {{2, 3, 2}, {2, 3, 2}, {2, 3, 2}});
  check_op(multiply(), {{2, 3}, {2, 3}});
  check_op(concat(2), {{2, 3}, {2, 4}});
  check_op(concat(3), {{2, 1, 2, 2}, {2, 3, 2, 2}, {2, 2, 2, 2}});
  check_op(concat(2, 2), {{2, 3, 1}, {2, 3, 4}});
}

TEST(Combine, RefuseWhatDoesNotFit) {
  const std::vector<Spec> uneven = {{{3, 2}}, {{4, 2}}}, flat = {{{3}}, {{3, 2}}};
  expect_refusal([&] { add()->infer(uneven); }, "inputs of shapes [3, 2] and [4, 2] do not fit");
  expect_refusal([&] { multiply()->infer(uneven); }, "do not fit");
  expect_refusal([&] { concat(2, 2)->infer(uneven); }, "differ in more than dimension 2");
  expect_refusal([&] { concat(2)->infer(flat); }, "differ in more than dimension 1");
  expect_refusal([&] { concat(2, 3)->infer(uneven); }, "have no dimension 3");
  expect_refusal([] { concat(2, 0); }, "0 is the batch");
  expect_refusal([] { add(1); }, "at least 2 inputs");
}

TEST(Dropout, KeepsTheContract) {
  check_op(dropout(0.4), {{3, 7}});
  check_op(dropout(0), {{3, 7}});
  check_op(dropout(0.4), {{3, 7}}, {.mode = Mode::Eval});
}

TEST(Dropout, DropsTheAskedForPartAndKeepsTheMean) {
  Saved saved;
  const Tensor y = dropout(0.3)->forward(std::vector<Tensor>{at::ones({1, 100000})}, saved,
                                         {Mode::Train, Stream(1)});
  EXPECT_NEAR(y.eq(0).to(at::kFloat).mean().item<double>(), 0.3, 0.01);
  EXPECT_NEAR(y.mean().item<double>(), 1, 0.01);
  EXPECT_NEAR(y.max().item<double>(), 1 / 0.7, 1e-6);
}

TEST(Dropout, AnEvaluationPassForgetsTheMask) {
  Saved saved;
  const std::vector<Tensor> x = {at::ones({2, 50})};
  const OpPtr op = dropout(0.5);
  op->forward(x, saved, {Mode::Train, Stream(1)});
  EXPECT_TRUE(op->forward(x, saved, {Mode::Eval}).is_same(x[0]));
  EXPECT_TRUE(at::equal(op->vjp(saved, x[0]), x[0]));
  expect_refusal([] { dropout(1); }, "below 1");
}

TEST(Embedding, KeepsTheContract) {
  check_op(embedding(5, 3), {{6}}, {.tokens = 5});
  check_op(embedding(4, 2), {{3, 5}}, {.tokens = 4});
}

TEST(Embedding, RefusesWhatIsNoTokenNumber) {
  const OpPtr op = embedding(4, 2);
  op->build(std::vector<Spec>{{{}}});
  EXPECT_EQ(op->weight(), nullptr);
  Saved saved;
  const auto run = [&](const Tensor& x) {
    return [&, x] { op->forward(std::vector<Tensor>{x}, saved, {}); };
  };
  expect_refusal(run(at::ones({3})), "must be integers");
  expect_refusal(run(at::arange(5)), "from 0 to 4 do not fit a vocabulary of 4");
  expect_refusal(run(at::arange(3) - 2), "from -2 to 0");  // -1 is none
  expect_refusal([&] { op->vjp(saved, at::ones({3, 2}), 0, nullptr); }, "have no derivative");
}

}  // namespace
}  // namespace altprop
