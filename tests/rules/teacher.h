// A training loop of a page and a synthetic classification task, for tests that need a rule to
// learn something in seconds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "altprop/network/gradients.h"
#include "altprop/network/init.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"
#include "altprop/optim/own_updater.h"
#include "altprop/rules/registry.h"
#include "support/device.h"
#include "support/learnt.h"

namespace altprop::testing {

inline double cosine(const Tensor& a, const Tensor& b) {
  return (a * b).sum().item<double>() / a.norm().item<double>() / b.norm().item<double>();
}

/// Dense layers of these sizes, the first being the input's, with an activation after each but the
/// last: fc1, fc2, ... Weights xavier from `seed`, biases zero.
inline Graph mlp(const std::vector<int64_t>& sizes, const std::string& function = "relu",
                 uint64_t seed = 1, at::ScalarType type = at::kFloat) {
  Graph net;
  int x = net.input({{sizes[0]}});
  for (size_t i = 1; i < sizes.size(); ++i) {
    x = net.add(linear(sizes[i]), {x}, "fc" + std::to_string(i));
    if (i + 1 < sizes.size()) x = net.add(activation(function), {x});
  }
  net.output(x);
  net.to(test::test_device(), type);
  initialise(net, Initialiser("xavier"), Stream(seed).at("init"));
  return net;
}

using NamedGradients = std::map<std::string, Tensor>;

/// Gradients of the batch mean by parameter name, without an update. `reference`: those of the
/// exact gradient that the rule approximates. `own`: also filled with those of these parameters.
inline NamedGradients gradients(Learner& rule, Graph& net, const Loss& loss, const Tensor& inputs,
                                const Tensor& targets, int64_t index = 0, bool reference = false,
                                const std::vector<ParamPtr>& own = {}, const Tensor& ids = {}) {
  const Look look{
      .inputs = inputs, .ids = ids, .draws = Stream(1).at("step").at(index), .index = index};
  const Objective objective(loss, targets, static_cast<double>(inputs.size(0)));
  Gradients found;
  Rule& signals = dynamic_cast<Rule&>(rule);
  if (reference) {
    signals.reference(look, objective, found);
  } else {
    const TracePtr trace = signals.forward(look);
    signals.credit(*trace, objective, found);
  }
  NamedGradients out;
  for (const ParamPtr& param : net.params()) out[param->name] = found.or_zeros(*param);
  for (const ParamPtr& param : own) out[param->name] = found.or_zeros(*param);
  return out;
}

/// One rule with its network and updater, as the trainer would bring them together.
class TestRun {
 public:
  TestRun(Graph& net, const Loss& loss, std::unique_ptr<Learner> rule,
          const OptimizerSettings& settings, uint64_t seed = 1)
      : net_(net), loss_(loss), rule_(std::move(rule)), updater_(settings), seed_(seed) {
    rule_->prepare_for(settings);
    rule_->bind(net_, loss_, seed_);
    std::vector<ParamPtr> params = rule_->trained();
    for (const ParamPtr& param : rule_->owned()) params.push_back(param);
    updater_.bind(params);
  }

  /// One step on one batch; returns the mean loss before the update.
  double step(const Tensor& inputs, const Tensor& targets, const std::string& pass = "train",
              int64_t epoch = 0) {
    Step step = Step::train(
        updater_,
        {.inputs = inputs, .draws = Stream(seed_).at("step").at(index_), .index = index_}, targets);
    step.epoch = epoch;
    step.pass = pass;
    rule_->step(step);
    ++index_;
    return step.output.defined() ? loss_.value(step.output, targets).mean().item<double>() : 0;
  }

  /// All passes of one epoch, batches shuffled anew in each.
  void epoch(int64_t epoch, const Tensor& inputs, const Tensor& targets, int64_t batch) {
    updater_.set_weight_decay(rule_->weight_decay(epoch));
    for (const std::string& pass : rule_->passes(epoch, epoch + 1)) {
      const Tensor order = Stream(seed_).at("order").at(pass).at(epoch).permutation(inputs.size(0));
      for (int64_t i = 0; i + batch <= inputs.size(0); i += batch) {
        const Tensor rows = order.narrow(0, i, batch).to(inputs.device());
        step(inputs.index_select(0, rows), targets.index_select(0, rows), pass, epoch);
      }
    }
  }

  /// Percentage of right answers.
  double accuracy(const Tensor& inputs, const Tensor& classes) {
    return 100 *
           rule_->predict({.inputs = inputs}).argmax(1).eq(classes).to(at::kDouble).mean().item<double>();
  }

  Learner& rule() { return *rule_; }
  OwnUpdater& updater() { return updater_; }
  int64_t index() const { return index_; }

 private:
  Graph& net_;
  const Loss& loss_;
  std::unique_ptr<Learner> rule_;
  OwnUpdater updater_;
  uint64_t seed_;
  int64_t index_ = 0;
};

/// Labels from a random tanh network: x ~ N(0, I_64), label = argmax_10 of tanh(2 x A) C with A
/// 64x96 ~ N(0, 1/64), C 96x10 ~ N(0, 1); 20,000 samples to train on, 4,000 to test.
struct Teacher {
  Tensor x, y, test_x, test_y;

  explicit Teacher(uint64_t seed) {
    const Stream stream = Stream(seed).at("teacher");
    const Tensor all = stream.at("x").normal({24000, 64});
    const Tensor a = stream.at("a").normal({64, 96}).div_(8), c = stream.at("c").normal({96, 10});
    const Tensor label = at::mm(at::tanh(at::mm(all, a).mul_(2)), c).argmax(1);
    x = all.narrow(0, 0, 20000).to(test::test_device());
    y = label.narrow(0, 0, 20000).to(test::test_device());
    test_x = all.narrow(0, 20000, 4000).to(test::test_device());
    test_y = label.narrow(0, 20000, 4000).to(test::test_device());
  }

  /// Test accuracy in percent of 64-128-128-128-10 relu after 8 epochs of batches of 64 with
  /// momentum (lr 0.05, 0.9, decay 1e-4).
  double accuracy_of(const std::string& rule, const OptionValues& options, uint64_t seed) const {
    Graph net = mlp({64, 128, 128, 128, 10}, "relu", seed);
    const auto loss = make_loss("cross-entropy");
    TestRun run(net, *loss, make_rule(rule, options),
                {.kind = "momentum", .lr = 0.05, .momentum = 0.9, .weight_decay = 1e-4}, seed);
    for (int64_t epoch = 0; epoch < 8; ++epoch) run.epoch(epoch, x, y, 64);
    return run.accuracy(test_x, test_y);
  }
};

}  // namespace altprop::testing
