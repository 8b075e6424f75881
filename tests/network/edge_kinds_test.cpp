// What an edge carries: operations, networks and losses refuse what they are not for, by name.
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/network/describe.h"
#include "altprop/network/loss.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/autograd.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/scale.h"
#include "altprop/network/ops/sequence.h"
#include "altprop/rules/registry.h"
#include "network/check_op.h"
#include "network/support.h"

namespace altprop::test {
namespace {

const Spec kSpikes{.shape = {6}, .kind = Kind::SpikeTime};
const Spec kChances{.shape = {6}, .kind = Kind::Probability};
const Spec kTokens{.shape = {6}, .dtype = Dtype::Int64};

/// The sentence with which a graph refuses an operation on inputs of these specs, or "no error".
std::string said_of(const OpPtr& op, const std::vector<Spec>& specs) {
  return message_of([&] {
    Graph net;
    std::vector<int> inputs;
    for (const Spec& spec : specs)
      inputs.push_back(net.input(spec, std::string(1, static_cast<char>('x' + inputs.size()))));
    net.add(op, inputs, "op");
  });
}

TEST(EdgeKinds, ArithmeticTakesRealValuesAndSaysWhoGivesOthers) {
  EXPECT_EQ(said_of(relu(), {kSpikes}),
            "node 'op': relu takes real values, and 'x' gives spike times; leave it out, because "
            "layers of spike times have their activation built in and need no norms and biases, or "
            "put a membrane layer in front");
  EXPECT_EQ(said_of(dropout(0.5), {kChances}), "no error");  // of which it makes real values
  EXPECT_EQ(said_of(scale(2), {kChances}),
            "node 'op': scale takes real values, and 'x' gives probabilities; use an operation "
            "that takes probabilities");
  EXPECT_EQ(said_of(linear(3), {kTokens}),
            "node 'op': linear takes real numbers, and 'x' gives integers; put an embedding in "
            "front");
  EXPECT_EQ(said_of(embedding(4, 2), {{{6}}}),
            "node 'op': embedding takes integers, and 'x' gives real numbers; let the input hold "
            "integers (Dtype::Int64)");
  EXPECT_EQ(said_of(add(), {{{6}}, kSpikes}),
            "node 'op': add takes real values, and 'y' gives spike times; spike times have no sum "
            "and no product: leave the skip connection out, or join by concat");
  for (const std::string& name : Activation::names())
    EXPECT_EQ(said_of(activation(name), {kSpikes}) == "no error", name == "identity") << name;
  for (const OpPtr& op : std::vector<OpPtr>{linear(3), layer_norm(), batch_norm(), scale(2),
                                            activation("tanh")})
    for (const Spec& spec : {kSpikes, kChances, kTokens}) {
      EXPECT_TRUE(contains(said_of(op, {spec}), "'x' gives")) << op->type();
      EXPECT_EQ(said_of(op, {{{6}}}), "no error") << op->type();
    }
  EXPECT_TRUE(
      contains(said_of(last_step(6), {{{6}}, kSpikes, kSpikes, kSpikes, kSpikes, kSpikes, kSpikes}),
               "last-step takes integers, and 'x' gives real numbers"));
}

TEST(EdgeKinds, WhatOnlyRearrangesPassesEverythingOn) {
  for (Spec spec : {kSpikes, kChances, kTokens, Spec{.shape = {6}, .dtype = Dtype::Bool}}) {
    Graph net;
    const int x = net.input(spec);
    const auto same = [&](int node) {
      const Spec& found = net.node(node).spec;
      return found.kind == spec.kind && found.dtype == spec.dtype && found.batched;
    };
    const int shaped = net.add(reshape({2, 3}), {x});
    EXPECT_TRUE(same(shaped));
    EXPECT_TRUE(same(net.add(flatten(), {shaped})));
    EXPECT_TRUE(same(net.add(take_step(1), {shaped})));
    EXPECT_TRUE(same(net.add(stack(2), {x, x})));
    EXPECT_TRUE(same(net.add(concat(2), {x, x})));
    EXPECT_TRUE(same(net.add(activation("identity"), {x})));
    const int tokens = net.input({.shape = {2}, .dtype = Dtype::Int64});
    EXPECT_TRUE(same(net.add(last_step(2), {tokens, x, x})));
  }
  EXPECT_TRUE(contains(said_of(concat(2), {{{6}}, kSpikes}),
                       "joins values of one kind, but its inputs are real values and spike times"));
  EXPECT_TRUE(contains(said_of(stack(2), {kTokens, {{6}}}),
                       "joins values of one kind, but its inputs are integers and real values"));
}

TEST(EdgeKinds, ANestedGraphTakesWhatItsInputsSay) {
  auto inner = std::make_shared<Graph>();
  inner->output(inner->add(flatten(), {inner->input(kSpikes)}));
  EXPECT_EQ(said_of(inner, {kSpikes}), "no error");
  EXPECT_TRUE(
      contains(said_of(inner, {{{6}}}), "graph takes spike times, and 'x' gives real values"));
  auto shared = std::make_shared<Graph>();
  shared->output(
      shared->add(add(), {shared->input({{6}}), shared->input({.shape = {6}, .batched = false})}));
  EXPECT_TRUE(contains(said_of(shared, {{{6}}, {{6}}}),
                       "input 2 has shape [6] but [6] for the batch is expected"));
  EXPECT_TRUE(contains(said_of(shared, {{.shape = {6}, .batched = false}, {{6}}}),
                       "graph takes one value per sample, and 'x' gives one for the whole batch"));
}

TEST(EdgeKinds, ANetworkRefusesDataOfAnotherType) {
  Graph words, vectors, marks;
  words.output(words.add(embedding(9, 3), {words.input(kTokens, "words")}));
  vectors.output(vectors.add(linear(3), {vectors.input({{6}}, "pixels")}));
  marks.output(marks.add(flatten(), {marks.input({.shape = {6}, .dtype = Dtype::Bool}, "marks")}));
  const auto said = [](const Graph& net, const Tensor& x) {
    Activity activity;
    return message_of([&] { net.run(x, activity, {}); });
  };
  const Tensor integers = at::zeros({2, 6}, at::kLong);
  EXPECT_EQ(said(words, at::zeros({2, 6})),
            "input 'words' of the network takes integers, but the data holds real values");
  EXPECT_EQ(said(vectors, integers),
            "input 'pixels' of the network takes real values, but the data holds integers");
  EXPECT_EQ(said(marks, integers),
            "input 'marks' of the network takes truth values, but the data holds integers");
  EXPECT_EQ(said(words, integers), "no error");
  EXPECT_EQ(said(words, integers.to(at::kInt)), "no error");
  EXPECT_EQ(said(marks, integers.to(at::kBool)), "no error");
}

TEST(EdgeKinds, IntegersReceiveNoCreditAndNoTangent) {
  Graph net;
  const int words = net.input(kTokens), x = net.input({{18}});
  const int table =
      net.add(flatten(), {net.add(embedding(9, 3), {net.add(reshape({6}), {words})})});
  net.output(net.add(add(), {table, net.add(linear(18), {x})}));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1));
  EXPECT_FALSE(net.needs_credit()[static_cast<size_t>(words)]);
  const std::vector<Tensor> in = {at::arange(12).remainder(9).view({2, 6}),
                                  Stream(2).normal({2, 18}, at::kDouble)};
  Activity activity;
  const Tensor y = net.run(in, activity, {});
  Feedback exact;
  std::vector<Tensor> credits;
  Gradients sink;
  net.sweep(activity, {{net.output_node(), at::ones_like(y)}}, exact, &sink,
            {.input_credits = &credits});
  ASSERT_EQ(credits.size(), 2u);
  EXPECT_FALSE(credits[0].defined());
  EXPECT_TRUE(credits[1].defined());
  EXPECT_TRUE(sink.of_param(*net.params()[0]).defined());
  EXPECT_FALSE(net.push(activity, std::vector<Tensor>{in[0], Tensor()}).defined());
  EXPECT_TRUE(net.push(activity, in).defined());
}

TEST(EdgeKinds, UserFunctionsSeeAndMakeTheTypes) {
  Graph net;
  const int words = net.input(kTokens, "words");
  const int parity =
      net.add(autograd_op("parity", [](auto x) { return x[0].remainder(2); }), {words}, "parity");
  EXPECT_EQ(net.node(parity).spec.dtype, Dtype::Int64);
  const int real =
      net.add(autograd_op("float", [](auto x) { return x[0].to(at::kFloat); }), {parity});
  EXPECT_EQ(net.node(real).spec.dtype, Dtype::Float);
  net.output(real);
  Activity activity;
  EXPECT_TRUE(at::equal(net.run(at::arange(6).view({1, 6}), activity, {}),
                        at::tensor({0.f, 1.f, 0.f, 1.f, 0.f, 1.f}).view({1, 6})));
  EXPECT_TRUE(contains(message_of([&] {
                         net.node(parity).op->vjp(activity.saved[1], at::ones({1, 6}));
                       }),
                       "its input 1 holds integers, which have no derivative"));
}

TEST(EdgeKinds, TextsOfNetworksFollowTheData) {
  const InputInfo tokens{.input_shape = {5}, .classes = 6, .vocabulary = 6};
  for (const char* text : {"chain: embedding 6 3, flatten, linear 6", "rnn:*-4-*:output=last",
                           "dag: x = input; e = embedding(x, 6, 3); output linear(flatten(e), 6)",
                           "dag: x = input(5); e = embedding(x, 6, 3); output linear(flatten(e), "
                           "6)"})
    EXPECT_EQ(network(text, tokens).node(0).spec.dtype, Dtype::Int64) << text;
  EXPECT_EQ(network("chain: embedding 6 3", {.input_shape = {5}}).node(0).spec.dtype, Dtype::Int64);
  const std::string stated = "dag: x = input(5, dtype=int64); output embedding(x, 6, 3)";
  EXPECT_EQ(network(stated).node(0).spec.dtype, Dtype::Int64);
  EXPECT_EQ(network("dag: x = input(5, dtype=float); output linear(x, 3)").node(0).spec.dtype,
            Dtype::Float);
  const auto said = [](const std::string& text, const InputInfo& info) {
    return message_of([&] { network(text, info); });
  };
  EXPECT_TRUE(contains(said("dag: x = input(5, dtype=half); output linear(x, 3)", {}),
                       "an input holds float, real numbers, or int64"));
  EXPECT_TRUE(contains(said("dag: x = input(5); output embedding(x, 6, 3)", {}),
                       "embedding takes integers, and 'x' gives real numbers"));
  EXPECT_TRUE(contains(said("chain: linear 6", tokens),
                       "linear takes real numbers, and 'input' gives integers"));
  EXPECT_TRUE(contains(said("mlp:*-4-*", tokens),
                       "network 'mlp': its 'fc1' takes real numbers, but the data are sequences of "
                       "token numbers"));
}

TEST(EdgeKinds, DescribeShowsWhatIsUnusualAndNothingElse) {
  const std::string usual = describe(network("mlp:6-5-3:relu")).table();
  for (const char* word : {"int64", "spike", "batch\n", "probabilities"})
    EXPECT_FALSE(contains(usual, word)) << word;
  EXPECT_FALSE(contains(describe(network("mlp:6-5-3:relu")).json().dump(), "values"));
  Graph net;
  const int words = net.input(kTokens, "words"),
            time = net.input({.shape = {6}, .batched = false}, "time"),
            spikes = net.input(kSpikes, "spikes"), x = net.input({{6}}, "x");
  net.add(embedding(9, 3), {words}, "table");
  net.add(flatten(), {spikes}, "flat");
  net.output(net.add(add(), {x, time}, "sum"));
  const Description found = describe(net, 10);
  const std::string table = found.table();
  for (const char* line : {"[6] int64", "[6] for the batch", "[6] spike times"})
    EXPECT_TRUE(contains(table, line)) << table;
  const nlohmann::json rows = found.json()["operations"];
  EXPECT_EQ(rows[0]["values"], "int64");
  EXPECT_EQ(rows[1]["values"], "for the batch");
  EXPECT_EQ(rows[2]["values"], "spike times");
  EXPECT_FALSE(rows[3].contains("values"));
  EXPECT_FALSE(rows.back().contains("values"));
}

TEST(EdgeKinds, ALossRefusesOutputsThatItIsNotFor) {
  const auto said = [](const char* loss, const Spec& spec) {
    Graph net;
    net.output(net.add(flatten(), {net.input(spec)}, "out"));
    return message_of([&] { expect_output_for(*make_loss(loss), net); });
  };
  EXPECT_EQ(said("cross-entropy", kSpikes),
            "network: its output 'out' gives spike times, which the loss cross-entropy is not for; "
            "use a loss that takes them, or end with an operation that makes real values");
  EXPECT_TRUE(contains(said("squared-error", kSpikes), "gives spike times"));
  EXPECT_TRUE(contains(said("sigmoid-cross-entropy", kChances), "gives probabilities"));
  EXPECT_TRUE(contains(said("squared-error", kTokens), "gives integers"));
  EXPECT_EQ(said("squared-error", kChances), "no error");
  for (const std::string& loss : loss_names())
    for (const Spec& spec : {Spec{{6}}, kSpikes})
      EXPECT_EQ(said(loss.c_str(), spec) == "no error", make_loss(loss)->takes(spec.kind)) << loss;
  EXPECT_TRUE(contains(said("spike-cross-entropy", {{6}}), "gives real values"));
  // Where rules are asked about a network.
  Graph net;
  net.output(net.add(flatten(), {net.input(kSpikes)}, "out"));
  EXPECT_TRUE(contains(refusal_of(rule_entry("backprop"), net, *make_loss("cross-entropy")),
                       "gives spike times"));
}

TEST(EdgeKinds, LegalValuesDependOnTheKind) {
  const float inf = INFINITY;
  const Tensor fires = at::tensor({0.f, 2.f}), silent = at::tensor({0.f, inf}),
               before = at::tensor({0.f, -inf}), lost = at::tensor({0.f, NAN});
  for (const Kind kind : {Kind::Real, Kind::SpikeTime, Kind::Probability}) {
    EXPECT_TRUE(legal(fires, kind));
    EXPECT_EQ(legal(silent, kind), kind == Kind::SpikeTime);
    EXPECT_FALSE(legal(before, kind));
    EXPECT_FALSE(legal(lost, kind));
    EXPECT_TRUE(legal(at::arange(3), kind));
    EXPECT_TRUE(legal(at::empty({0}), kind));
  }
}

}  // namespace
}  // namespace altprop::test
