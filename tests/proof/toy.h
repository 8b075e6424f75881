// A toy problem for rules that are not part of the library: they prove that the contract carries rules of every awkward kind.
#pragma once

#include "altprop/network/init.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"
#include "altprop/optim/own_updater.h"
#include "altprop/rules/rule.h"
#include "support/learnt.h"

namespace altprop::proof {

/// A chain of linear operations with `act` between them.
inline Graph toy_net(const std::vector<int64_t>& widths, const std::string& act, uint64_t seed, bool act_on_output = false) {
  Graph net;
  int at = net.input({{widths[0]}});
  for (size_t l = 1; l < widths.size(); ++l) {
    at = net.add(linear(widths[l]), {at});
    if (l + 1 < widths.size() || act_on_output) at = net.add(activation(act), {at});
  }
  net.output(at);
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(seed + test::seed_offset()).at("init"));
  return net;
}

struct ToyData {
  Tensor inputs, targets;
};

/// Three classes by the sign pattern of two random projections.
inline ToyData toy_data(int64_t n, int64_t features, uint64_t seed) {
  seed += test::seed_offset();
  Tensor x = Stream(seed).at("x").normal({n, features}, at::kDouble), a = Stream(seed).at("a").normal({features, 2}, at::kDouble);
  Tensor p = x.mm(a);
  return {x, (p.select(1, 0).gt(0).to(at::kLong) + p.select(1, 0).gt(0).logical_and(p.select(1, 1).gt(0)).to(at::kLong))};
}

/// Trains full-batch through the learner's own passes and step; returns the loss of its own predictions before and after.
struct ToyRun {
  double before, after;
};
inline ToyRun train_toy(Graph& net, Learner& rule, const Loss& loss, Updater& updater, const ToyData& data, int64_t epochs) {
  rule.bind(net, loss, 1);
  std::vector<ParamPtr> params = rule.trained();
  for (const ParamPtr& p : rule.owned()) params.push_back(p);
  for (GroupSettings& group : rule.groups({}, {})) updater.set_group(std::move(group));
  updater.bind(params);
  auto measure = [&] { return loss.value(rule.predict({.inputs = data.inputs}), data.targets).mean().item<double>(); };
  const double before = measure();
  int64_t index = 0;
  for (int64_t epoch = 0; epoch < epochs; ++epoch)
    for (const std::string& pass : rule.passes(epoch, epochs)) {
      Step step = Step::train(updater,
                              {.inputs = data.inputs,
                               .ids = at::arange(data.inputs.size(0), at::kLong),
                               .draws = Stream(1).at(index),
                               .index = index},
                              data.targets);
      step.epoch = epoch;
      step.pass = pass;
      rule.step(step);
      ++index;
    }
  return {before, measure()};
}

}  // namespace altprop::proof
