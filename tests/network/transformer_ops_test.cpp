// Attention, norms by the root mean square, and learnt values that all samples share.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "altprop/network/architecture.h"
#include "altprop/network/ops/attention.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/learnt.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/rms_norm.h"
#include "network/check_op.h"

namespace altprop {
namespace {

Tensor numbers(IntArrayRef shape, uint64_t seed = 1) {
  return Stream(seed).at("numbers").normal(shape, at::kDouble);
}

ParamPtr param(IntArrayRef shape) {
  return std::make_shared<Param>("weight", at::zeros(shape, at::kDouble));
}

TEST(LearntValues, KeepThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  for (const Over over : {Over::Last, Over::Channels, Over::All}) {
    check_op(gain(over), {{3, 2, 4, 3}});
    check_op(offset(over), {{3, 2, 4, 3}});
    check_op(gain(over), {{3, 5}});
    check_op(offset(over), {{3, 5}});
  }
  check_op(prepend(), {{3, 4, 2}});
  check_op(prepend(3), {{2, 1, 2, 2}});
  check_op(prepend(2), {{2, 3}});
}

/// Of any shape that may be repeated along those of a sample, a batch of 1 in front of it too.
TEST(LearntValues, OfOtherShapesWhereTheyAreShared) {
  at::NoGradGuard no_grad;
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{
           {}, {1}, {1, 1}, {4, 1}, {2, 1, 3}, {1, 2, 1, 3}, {1, 2, 4, 3}, {1, 1, 4, 1}, {2, 4, 1}}) {
    SCOPED_TRACE(shape_text(shape));
    check_op(std::make_shared<Gain>(param(shape)), {{3, 2, 4, 3}});
    check_op(std::make_shared<Offset>(param(shape)), {{3, 2, 4, 3}});
  }
  check_op(std::make_shared<Prepend>(param({1, 2, 3})), {{2, 4, 3}});
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{2}, {5, 3}, {2, 2, 4, 3}, {1, 1, 1, 1, 1}}) {
    const Spec sample{{2, 4, 3}};
    EXPECT_THROW(Gain(param(shape)).infer({&sample, 1}), Refusal) << shape_text(shape);
    EXPECT_THROW(Offset(param(shape)).infer({&sample, 1}), Refusal) << shape_text(shape);
  }
}

/// What gains of a norm receive, a gain behind a norm without them receives.
TEST(LearntValues, AGainAndAnOffsetBehindANormAreTheNorms) {
  at::NoGradGuard no_grad;
  const Tensor x = numbers({4, 3, 5}), cot = numbers({4, 3, 5}, 2);
  const auto own = layer_norm(), bare = layer_norm(), factor = gain(), shift = offset();
  const Spec sample{{3, 5}};
  for (const OpPtr& op : {own, bare, factor, shift}) {
    op->build({&sample, 1});
    for (const ParamPtr& p : op->params()) p->value = p->value.to(at::kDouble);
  }
  own->params()[0]->value = factor->params()[0]->value = numbers({5}, 3);
  own->params()[1]->value = shift->params()[0]->value = numbers({5}, 4);
  Saved whole, a, b, c;
  const Tensor y = own->forward({&x, 1}, whole, {});
  const Tensor n = bare->forward({&x, 1}, a, {}), g = factor->forward({&n, 1}, b, {});
  expect_close(shift->forward({&g, 1}, c, {}), y, 1e-14, "output");
  Gradients of_norm, of_parts;
  own->accumulate(whole, cot, 1, of_norm, nullptr, nullptr);
  factor->accumulate(b, cot, 1, of_parts, nullptr, nullptr);
  shift->accumulate(c, cot, 1, of_parts, nullptr, nullptr);
  expect_close(of_parts.of_param(*factor->params()[0]), of_norm.of_param(*own->params()[0]), 1e-13, "gain");
  expect_close(of_parts.of_param(*shift->params()[0]), of_norm.of_param(*own->params()[1]), 1e-13, "bias");
}

TEST(RmsNorm, KeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  check_op(rms_norm(), {{3, 5}});
  check_op(rms_norm(0.1), {{2, 3, 4}});
  check_op(rms_norm(), {{2, 1}});
  EXPECT_THROW(rms_norm(0), UsageError);
}

/// Of values whose mean is 0 it is layer norm.
TEST(RmsNorm, OfCentredValuesIsLayerNorm) {
  at::NoGradGuard no_grad;
  const Tensor raw = numbers({4, 3, 6}), x = raw - raw.mean(-1, true);
  Saved a, b;
  const Spec sample{{3, 6}};
  const auto rms = rms_norm(1e-5), layer = layer_norm(1e-5);
  for (const OpPtr& op : {rms, layer}) {
    op->build({&sample, 1});
    for (const ParamPtr& p : op->params()) p->value = p->value.to(at::kDouble);
  }
  expect_close(rms->forward({&x, 1}, a, {}), layer->forward({&x, 1}, b, {}), 1e-14, "output");
}

TEST(Attention, KeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  check_op(attention({}), {{2, 3, 2}, {2, 4, 2}, {2, 4, 3}});
  check_op(attention({.heads = 2}), {{2, 3, 4}, {2, 2, 4}, {2, 2, 2}});
  check_op(attention({.heads = 2, .causal = true}), {{2, 3, 4}, {2, 3, 4}, {2, 3, 2}});
  check_op(attention({.heads = 2, .causal = true, .packed = true}), {{2, 3, 12}});
  check_op(attention({.packed = true}), {{2, 1, 3}});
}

TEST(Attention, IsTheLibrarys) {
  at::NoGradGuard no_grad;
  const Tensor q = numbers({3, 5, 8}, 1), k = numbers({3, 5, 8}, 2), v = numbers({3, 5, 8}, 3);
  for (const bool causal : {false, true}) {
    const auto heads = [](const Tensor& t) { return t.view({3, 5, 4, 2}).transpose(1, 2); };
    const Tensor expected =
        at::scaled_dot_product_attention(heads(q), heads(k), heads(v), {}, 0, causal)
            .transpose(1, 2)
            .reshape({3, 5, 8});
    Saved saved;
    const std::vector<Tensor> three = {q, k, v}, one = {at::cat(three, 2)};
    expect_close(attention({.heads = 4, .causal = causal})->forward(three, saved, {}), expected, 1e-13, "apart");
    expect_close(attention({.heads = 4, .causal = causal, .packed = true})->forward(one, saved, {}),
                 expected, 1e-13, "packed");
  }
}

/// What comes later changes nothing, and gets nothing of the credit.
TEST(Attention, IsCausalWhereItSaysSo) {
  at::NoGradGuard no_grad;
  const auto op = attention({.heads = 2, .causal = true, .packed = true});
  const Tensor x = numbers({2, 6, 12});
  Tensor changed = x.clone();
  changed.narrow(1, 4, 2).normal_();
  Saved a, b;
  const Tensor y = op->forward({&x, 1}, a, {});
  EXPECT_TRUE(at::equal(op->forward({&changed, 1}, b, {}).narrow(1, 0, 4), y.narrow(1, 0, 4)));
  Tensor cot = at::zeros_like(y);
  cot.narrow(1, 0, 3).fill_(1);
  EXPECT_EQ(largest(op->vjp(a, cot, 0, nullptr).narrow(1, 3, 3)), 0);
}

TEST(Attention, WhatDoesNotFitIsRefused) {
  const auto refused = [](AttentionSettings s, const std::vector<Spec>& in, const std::string& why) {
    expect_refusal([&] { attention(s)->infer(in); }, why);
  };
  refused({}, {{{3, 4}}, {{3, 5}}, {{3, 4}}}, "as wide as keys");
  refused({}, {{{3, 4}}, {{2, 4}}, {{3, 4}}}, "do not fit");
  refused({.heads = 3}, {{{3, 4}}, {{3, 4}}, {{3, 4}}}, "3 heads");
  refused({.causal = true}, {{{3, 4}}, {{2, 4}}, {{2, 4}}}, "as many keys as queries");
  refused({.packed = true}, {{{3, 4}}}, "no three of a width");
  refused({.packed = true}, {{{3}}}, "steps, values");
  EXPECT_THROW(attention({.heads = 0}), UsageError);
}

TEST(Multiply, OfSamplesThatAreTheSameAlongADimension) {
  at::NoGradGuard no_grad;
  check_op(multiply(), {{3, 2, 4, 3}, {3, 2, 1, 1}});
  check_op(multiply(), {{3, 1, 3}, {3, 4, 1}});
  const std::vector<Spec> no = {{{2, 4}}, {{2, 3}}}, fewer = {{{2, 4}}, {{4}}};
  EXPECT_THROW(multiply()->infer(no), Refusal);
  EXPECT_THROW(multiply()->infer(fewer), Refusal);
}

TEST(TransformerWords, MakeABlockOfATransformer) {
  const Graph net = network(
      "dag: x = prepend(offset(input, over=all, deviation=0.02)); n = rms-norm(x); "
      "a = self-attention(linear(n, 24), heads=2, causal=true); "
      "b = attention(linear(n, 8), linear(x, 8), linear(x, 8), heads=2); "
      "h = add(gain(linear(a, 8)), x); output linear(concat(h, b), 5)",
      {.input_shape = {4, 8}});
  EXPECT_EQ(net.node(net.output_node()).spec.shape, (std::vector<int64_t>{5 + 5, 5}));
}

}  // namespace
}  // namespace altprop
