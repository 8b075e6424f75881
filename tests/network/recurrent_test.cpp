// Recurrent networks: their operations, their structure, what their text accepts, and sequences of
// different length in one batch.
#include <ATen/core/grad_mode.h>

#include "altprop/network/describe.h"
#include "altprop/network/gradients.h"
#include "altprop/network/loss.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/lstm.h"
#include "altprop/network/ops/sequence.h"
#include "altprop/network/state_graph.h"
#include "check_op.h"
#include "support.h"

namespace altprop::test {
namespace {

TEST(Sequence, OperationsKeepTheContract) {
  check_op(take_step(1), {{3, 4}});
  check_op(take_step(0), {{2, 3, 4}});
  check_op(stack(1), {{3, 4}});
  check_op(stack(3), {{2, 4}, {2, 4}, {2, 4}});
  check_op(lstm_gates(1), {{3, 8}});
  check_op(lstm_gates(2), {{3, 8}, {3, 8}});
  check_op(lstm_cell(1), {{3, 8}});
  check_op(lstm_cell(2), {{3, 8}, {3, 2}});
  check_op(lstm_output(), {{3, 8}, {3, 2}});
  for (bool bias : {true, false}) {
    check_op(Embedding::one_hot(5, 3, bias), {{6}}, {.tokens = 5});
    check_op(Embedding::one_hot(4, 2, bias), {{3, 5}}, {.tokens = 4});
  }
  expect_refusal([] { lstm_gates(1)->infer(std::vector<Spec>{{{6}}}); }, "four equal parts");
  expect_refusal([] { lstm_cell(2)->infer(std::vector<Spec>{{{8}}, {{3}}}); }, "gates of width 2");
  expect_refusal([] { take_step(3)->infer(std::vector<Spec>{{{3, 2}}}); }, "no step 3");
}

TEST(Sequence, AOneHotTableIsTheProductWithOneHotRows) {
  const OpPtr op = Embedding::one_hot(5, 3, true);
  op->build({});
  op->params()[0]->value = Stream(1).normal({5, 3}, at::kDouble);
  op->params()[1]->value = Stream(2).normal({3}, at::kDouble);
  const Tensor tokens = at::tensor({4, -1, 0, 4}, at::kLong);  // -1: none
  Tensor rows = at::zeros({4, 5}, at::kDouble);
  for (int64_t i : {0, 2, 3}) rows[i][tokens[i].item<int64_t>()] = 1;
  Saved saved;
  const Tensor y = op->forward(std::span<const Tensor>(&tokens, 1), saved, {});
  EXPECT_TRUE(at::allclose(y, rows.mm(op->params()[0]->value) + op->params()[1]->value));
  const Tensor cot = Stream(3).normal({4, 3}, at::kDouble);
  Gradients found;
  op->accumulate(saved, cot, 0.5, found);
  EXPECT_TRUE(at::allclose(found.of_param(*op->params()[0]), 0.5 * rows.t().mm(cot)));
  const Tensor wrong = at::tensor({5}, at::kLong);
  EXPECT_THROW(op->forward(std::span<const Tensor>(&wrong, 1), saved, {}), UsageError);
}

TEST(Sequence, TheLastStepIsEachSamplesOwn) {
  const OpPtr op = last_step(3);
  const std::vector<Tensor> inputs = {
      at::tensor({1, 2, 0, 1, -1, -1, 2, 0, -1}, at::kLong).view({3, 3}), at::full({3, 2}, 1.0),
      at::full({3, 2}, 2.0), at::full({3, 2}, 3.0)};
  Saved saved;
  const Tensor y = op->forward(inputs, saved, {});
  EXPECT_TRUE(at::equal(y.select(1, 0), at::tensor({3.0f, 1.0f, 2.0f})));
  const Tensor cot = at::arange(1, 7, at::kFloat).view({3, 2});
  for (int i = 1; i <= 3; ++i) {
    const Tensor pulled = op->vjp(saved, cot, i, nullptr);
    for (int64_t row = 0; row < 3; ++row)
      EXPECT_TRUE(at::equal(pulled[row], y[row][0].item<float>() == static_cast<float>(i)
                                             ? cot[row]
                                             : at::zeros({2})));
    EXPECT_TRUE(at::equal(op->jvp(saved, cot, i), pulled));
  }
  EXPECT_THROW(op->vjp(saved, cot, 0, nullptr), Refusal);
}

InputInfo tokens(int64_t length, int64_t vocabulary, bool per_step = true) {
  return {.input_shape = {length},
          .classes = vocabulary,
          .vocabulary = vocabulary,
          .per_step = per_step};
}

TEST(Recurrent, WeightsAreSharedByAllSteps) {
  const Graph lstm = network("lstm:*-8-*", tokens(5, 6));
  // 4 gates: a table of 6 x 32 with 32 biases and 32 x 8 recurrent weights; 6 x 8 + 6 out.
  EXPECT_EQ(parameters(lstm), 6 * 32 + 32 + 32 * 8 + 6 * 8 + 6);
  std::vector<std::string> names;
  for (const ParamPtr& p : lstm.params()) names.push_back(p->name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"lstm1.input.weight", "lstm1.input.bias",
                                      "lstm1.recurrent.weight", "output.weight", "output.bias"}));
  EXPECT_EQ(parameters(network("lstm:*-8-7-*:bias=false", tokens(5, 6))),
            6 * 32 + 32 * 8 + 28 * 8 + 28 * 7 + 6 * 7);
  EXPECT_EQ(parameters(network("rnn:*-8-*:embedding=3", tokens(5, 6))),
            6 * 3 + 8 * 3 + 8 + 8 * 8 + 6 * 8 + 6);
  EXPECT_EQ(network("rnn:3-8-4:relu:length=5,output=last").node(0).spec.shape,
            (std::vector<int64_t>{5, 3}));
}

TEST(Recurrent, OutputsStandWhereTheTargetsAre) {
  const auto shape_of = [](const std::string& text, const InputInfo& info) {
    const Graph net = network(text, info);
    return net.node(net.output_node()).spec.shape;
  };
  EXPECT_EQ(shape_of("rnn:*-8-*", tokens(5, 6)), (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(shape_of("rnn:*-8-*", tokens(5, 6, false)), (std::vector<int64_t>{6}));
  // A grey image row by row, vectors, and a flat sample that is cut.
  EXPECT_EQ(shape_of("lstm:28-8-10", {{1, 28, 28}, 10}), (std::vector<int64_t>{10}));
  EXPECT_EQ(shape_of("lstm:*-8-*", {{7, 3}, 4}), (std::vector<int64_t>{4}));
  EXPECT_EQ(shape_of("rnn:4-8-3:length=6", {{24}, 3}), (std::vector<int64_t>{3}));
}

TEST(Recurrent, WhatDoesNotFitIsRefusedInOneSentence) {
  const std::vector<std::tuple<std::string, InputInfo, std::string>> cases = {
      {"rnn:5-8-6", {}, "write length=50"},
      {"rnn:*-8-6:length=5", {}, "the width of the data, which is not known"},
      {"lstm:7-8-6", tokens(5, 6), "takes 7 different tokens, but the data have 6"},
      {"lstm:6-8-6:length=4", tokens(5, 6), "the data have sequences of 5 steps"},
      {"lstm:6-8-6:output=last", tokens(5, 6), "a target for each step; write output=each"},
      {"lstm:6-8-6:output=each", tokens(5, 6, false), "write output=last"},
      {"lstm:6-8-5", tokens(5, 6), "but the data have 6 classes"},
      {"lstm:3-8-10", {{3, 8, 8}, 10}, "say nothing about steps"},
      {"lstm:5-8-10", {{1, 28, 28}, 10}, "are no 28 steps of 5 values"},
      {"rnn:28-8-10:embedding=3", {{1, 28, 28}, 10}, "embedding is for tokens"},
      {"mlp:*-8-*", tokens(5, 6), "its 'fc1' takes real numbers"},
      {"chain: embedding 6 3, flatten, linear 6", tokens(5, 6), "a target for each of 5 steps"},
      {"rnn:6-6", tokens(5, 6), "at least one hidden"},
      {"rnn:6-8-6:nothing", tokens(5, 6), "there is no activation"},
      {"lstm:6-100000-6", tokens(5, 6), "more than the limit of"},
      {"lstm:6-4-6:length=9000", {}, "more than 10000 operations"}};
  for (const auto& [text, info, part] : cases) {
    const std::string message = message_of([&text = text, &info = info] { network(text, info); });
    EXPECT_TRUE(contains(message, part)) << text << ": " << message;
  }
}

TEST(Recurrent, StatesAreGatesCellAndOutputOfEachStep) {
  const int64_t steps = 4;
  const StateGraph g = states(network("lstm:*-3-*", tokens(steps, 6)), Cut::Blocks);
  std::vector<std::string> names;
  for (const auto& state : g.states) names.push_back(state.name);
  std::vector<std::string> expected = {"input"};
  for (int64_t t = 1; t <= steps; ++t)
    for (const char* part : {".gates", ".cell", ".h"}) expected.push_back(text::cat("t", t, part));
  expected.push_back("output");
  EXPECT_EQ(names, expected);
  const std::vector<int> hops = g.hops_to_output(true), least = g.hops_to_output(false);
  for (size_t t = 0; t < 4; ++t) {
    EXPECT_EQ(hops[1 + 3 * t], 3 * (4 - static_cast<int>(t))) << "gates of step " << t + 1;
    EXPECT_EQ(hops[3 + 3 * t], 3 * (4 - static_cast<int>(t)) - 2) << "h of step " << t + 1;
    EXPECT_EQ(least[3 + 3 * t], 1) << "each step's own loss is one hop away";
  }
  expect_refusal([] { states(network("lstm:*-3-*", tokens(4, 6)), Cut::PreActivation); },
                 "its activations are part of 'lstm-gates'");
  const StateGraph r = states(network("rnn:*-3-*", tokens(4, 6, false)), Cut::Blocks);
  EXPECT_EQ(r.states.size(), 6u);  // input, four h, output
  EXPECT_EQ(r.hops_to_output(true)[1], 4);
}

/// Gradients of a network, batch-summed times `scale`, by parameter.
std::vector<Tensor> gradients(const Graph& net, const Loss& loss, const Tensor& x, const Tensor& y,
                              double scale = 1) {
  at::NoGradGuard no_grad;
  Activity activity;
  const Tensor out = net.run(x, activity, {Mode::Train, Stream(1)});
  Feedback exact;
  Gradients sink;
  net.sweep(activity, {{net.output_node(), loss.gradient(out, y)}}, exact, &sink, {.scale = scale});
  return sink.of_params(net.params());
}

/// Copies the values of all parameters, which have the same names.
void same_weights(const Graph& from, Graph& to) {
  const auto a = from.params(), b = to.params();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) b[i]->value = a[i]->value.clone();
}

/// A batch of sequences of 5, 2, 1 and 4 tokens out of 6.
const std::vector<int64_t> kLengths = {5, 2, 1, 4};
Tensor padded(const Stream& stream) {
  Tensor x = stream.uniform(0, 6, {4, 5}).to(at::kLong);
  for (int64_t i = 0; i < 4; ++i)
    x[i].narrow(0, kLengths[static_cast<size_t>(i)], 5 - kLengths[static_cast<size_t>(i)])
        .fill_(-1);
  return x;
}

class Padding : public ::testing::TestWithParam<std::tuple<const char*, bool, const char*>> {};

TEST_P(Padding, AShorterSequenceLearnsExactlyAsAlone) {
  const auto& [text, per_step, loss_name] = GetParam();
  const auto loss = make_loss(loss_name);
  Graph net = network(text, tokens(5, 6, per_step));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("normal:0.5"), Stream(1));
  const Tensor x = padded(Stream(2));
  const Tensor y = per_step ? at::where(x.ge(0), Stream(3).uniform(0, 6, {4, 5}).to(at::kLong), -1)
                            : Stream(3).uniform(0, 6, {4}).to(at::kLong);
  const std::vector<Tensor> together = gradients(net, *loss, x, y);
  std::vector<Tensor> alone;
  double value = 0;
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t length = kLengths[static_cast<size_t>(i)];
    // A network of one step has no recurrent weight: two are the fewest with the same parameters.
    const int64_t shown = std::max<int64_t>(length, 2);
    Graph short_net = network(text, tokens(shown, 6, per_step));
    same_weights(net, short_net);
    const Tensor xi = x[i].narrow(0, 0, shown).unsqueeze(0);
    const Tensor yi = (per_step ? y[i].narrow(0, 0, shown) : y[i]).unsqueeze(0);
    const std::vector<Tensor> own = gradients(short_net, *loss, xi, yi);
    at::NoGradGuard no_grad;
    value += loss->value(short_net.predict(xi), yi).item<double>();
    for (size_t k = 0; k < own.size(); ++k)
      if (i == 0) {
        alone.push_back(own[k]);
      } else {
        alone[k] += own[k];
      }
  }
  at::NoGradGuard no_grad;
  EXPECT_NEAR(loss->value(net.predict(x), y).sum().item<double>(), value, 1e-12);
  for (size_t k = 0; k < alone.size(); ++k)
    EXPECT_LT(distance(together[k], alone[k]), 1e-13) << net.params()[k]->name;
  // What a padded step is given changes nothing.
  if (per_step) return;
  Tensor longer = at::full({4, 7}, -1, at::kLong);
  longer.narrow(1, 0, 5).copy_(x);
  Graph more = network(text, tokens(7, 6, per_step));
  same_weights(net, more);
  const std::vector<Tensor> wider = gradients(more, *loss, longer, y);
  for (size_t k = 0; k < alone.size(); ++k)
    EXPECT_LT(distance(wider[k], together[k]), 1e-14) << net.params()[k]->name;
}

INSTANTIATE_TEST_SUITE_P(
    Recurrent, Padding,
    ::testing::Combine(::testing::Values("rnn:*-4-*", "lstm:*-4-*", "lstm:*-4-3-*:embedding=3"),
                       ::testing::Bool(), ::testing::Values("cross-entropy", "squared-error")));

TEST(Recurrent, DescriptionShowsRepeatedStepsOnce) {
  const Description d = describe(network("lstm:*-128-*", tokens(50, 65)), 64);
  EXPECT_EQ(d.rows.size(), 1u + 5 + 49 * 6 + 2);
  const std::string table = d.table();
  EXPECT_LT(std::count(table.begin(), table.end(), '\n'), 25) << table;
  EXPECT_TRUE(contains(table, "... t50.*  as t2.*, 48 times")) << table;
  EXPECT_TRUE(contains(table, "t2.rec")) << table;
  EXPECT_FALSE(contains(table, "t3.rec")) << table;
  EXPECT_EQ(d.parameters, 65 * 512 + 512 + 512 * 128 + 65 * 128 + 65);
  // Steps that differ, and too few to be worth a line of their own, are all shown.
  EXPECT_FALSE(contains(describe(network("rnn:*-4-*", tokens(3, 6))).table(), "times"));
}

}  // namespace
}  // namespace altprop::test
