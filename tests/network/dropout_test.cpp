// Dropout's masks belong to samples: a batch in parts, in another order or inside of other networks
// draws what the whole batch draws.
#include "altprop/network/ops/dropout.h"

#include <gtest/gtest.h>

#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/state_graph.h"
#include "altprop/rules/registry.h"
#include "network/check_op.h"
#include "network/support.h"
#include "rules/teacher.h"

namespace altprop::test {
namespace {

constexpr int64_t kRowsOfBatch = 10;

/// Two layers with dropout in each place; with `nested`, the first of them inside of a block.
Graph dropping_net(bool nested) {
  Graph net;
  int h = net.input({{6}});
  if (nested) {
    auto block = std::make_shared<Graph>();
    block->output(
        block->add(dropout(0.4), {block->add(linear(8), {block->input({{6}})}, "fc")}, "drop"));
    h = net.add(block, {h}, "block");
  } else {
    h = net.add(dropout(0.4), {net.add(linear(8), {h})});
  }
  net.output(net.add(linear(5), {net.add(dropout(0.3), {net.add(activation("tanh"), {h})})}));
  net.to(test_device(), at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  return net;
}

Pass training(const Tensor& ids, int64_t first_row = 0) {
  return {.mode = Mode::Train, .draws = Stream(3).at("step"), .ids = ids, .first_row = first_row};
}

Tensor batch_of_rows() {
  return Stream(2).at("x").normal({kRowsOfBatch, 6}, on_device(at::kDouble));
}

/// A network, as it is or cut into states, in training mode.
using Runs = std::function<Tensor(const Tensor& x, const Pass& pass)>;

void expect_draws_by_sample(const Runs& run, const Runs& without) {
  const Tensor x = batch_of_rows(), ids = at::arange(kRowsOfBatch) * 31 - 70;
  const Tensor whole = run(x, training(ids));
  EXPECT_GT(distance(whole, without(x, {})), 0.05);
  // In two parts with numbers, and in two parts by place.
  const auto parts = [&](const auto& pass_of) {
    return at::cat({run(x.narrow(0, 0, 4), pass_of(0, 4)), run(x.narrow(0, 4, 6), pass_of(4, 6))});
  };
  expect_close(parts([&](int64_t from, int64_t n) { return training(ids.narrow(0, from, n)); }),
               whole, 1e-14, "halves with numbers");
  const Tensor by_place = run(x, training({}));
  EXPECT_GT(distance(by_place, whole), 0.05);
  expect_close(parts([&](int64_t from, int64_t) { return training({}, from); }), by_place, 1e-14,
               "halves by place");
  expect_close(run(x, training(at::arange(kRowsOfBatch))), by_place, 1e-14, "places as numbers");
  // In another order, and every sample twice.
  const Tensor order = Stream(5).permutation(kRowsOfBatch), there = order.to(x.device());
  expect_close(run(x.index_select(0, there), training(ids.index_select(0, order))),
               whole.index_select(0, there), 1e-14, "in another order");
  expect_close(run(x.repeat({2, 1}), training(ids.repeat({2}))), whole.repeat({2, 1}), 1e-14,
               "every sample twice");
  expect_refusal([&] { run(x, training(at::arange(3))); },
                 "random numbers of 10 samples need as many sample numbers");
}

TEST(DropoutBySample, InANetworkANestedOneAndOneCutIntoStates) {
  for (const bool nested : {false, true}) {
    const Graph net = dropping_net(nested);
    const Runs as_it_is = [&](const Tensor& x, const Pass& pass) {
      Activity activity;
      return net.run(x, activity, pass);
    };
    expect_draws_by_sample(as_it_is, as_it_is);
    for (const Cut cut : {Cut::Blocks, Cut::EveryNode}) {
      const StateGraph graph = states(net, cut);
      const Runs by_states = [&](const Tensor& x, const Pass& pass) {
        std::vector<Activity> activity;
        return graph.run(std::span(&x, 1), activity, pass).back();
      };
      expect_draws_by_sample(by_states, as_it_is);
      if (nested) continue;  // numbers of nodes, by which they draw, change by splicing
      EXPECT_TRUE(at::equal(by_states(batch_of_rows(), training({})),
                            as_it_is(batch_of_rows(), training({}))));
    }
  }
}

TEST(DropoutBySample, ReplayKeepsTheMask) {
  const Graph net = dropping_net(true);
  Activity activity;
  const Tensor x = batch_of_rows(), ids = at::arange(kRowsOfBatch) + 5,
               y = net.run(x, activity, training(ids), {.keep_values = true});
  EXPECT_TRUE(at::equal(net.run(x, activity, {Mode::Replay}), y));
}

TEST(DropoutBySample, GradientsGoByTheSampleUnderRules) {
  int looked_at = 0;
  for (const RuleEntry& entry : rule_entries()) {
    Graph net = network("mlp:6-8-5:tanh:dropout=0.4");
    net.to(at::kCPU, at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    const auto loss = make_loss(entry.example_loss);
    const auto rule = entry.make();
    if (!dynamic_cast<Rule*>(rule.get()) || !refusal_of(entry, net, *loss).empty()) continue;
    SCOPED_TRACE(entry.name);
    ++looked_at;
    rule->bind(net, *loss, 1);
    const Tensor x = batch_of_rows().cpu(), y = at::arange(kRowsOfBatch).remainder(5),
                 ids = at::arange(kRowsOfBatch) * 3 + 1,
                 order = Stream(5).permutation(kRowsOfBatch);
    for (const bool exact : {false, true}) {
      const auto of = [&](const Tensor& places, const Tensor& numbers) {
        return testing::gradients(*rule, net, *loss, x.index_select(0, places),
                                  y.index_select(0, places), 0, exact, {}, numbers);
      };
      const auto once = of(at::arange(kRowsOfBatch), ids),
                 permuted = of(order, ids.index_select(0, order)), misplaced = of(order, ids);
      double apart = 0;
      for (const auto& [name, gradient] : once) {
        EXPECT_LT(distance(permuted.at(name), gradient), 1e-10) << name;
        apart = std::max(apart, distance(misplaced.at(name), gradient));
      }
      EXPECT_GT(apart, 1e-3);
    }
  }
  EXPECT_GE(looked_at, 10);
}

TEST(DropoutBySample, TraitsSayWhatDraws) {
  EXPECT_TRUE(dropout(0.5)->traits().draws);
  EXPECT_FALSE(dropout(0.5)->traits().draws_for_batch);
  EXPECT_FALSE(dropping_net(true).traits().draws_for_batch);
}

}  // namespace
}  // namespace altprop::test
