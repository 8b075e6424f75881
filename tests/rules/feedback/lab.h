// Small float64 networks, batches and comparisons for the tests of learnt feedback.
#pragma once

#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/pool.h"
#include "altprop/probes/gradient_check.h"
#include "rules/teacher.h"

namespace altprop::testing {

struct BatchOf {
  Tensor x, y;
};

/// Gaussian inputs and classes.
inline BatchOf draw_batch(const std::vector<int64_t>& shape, int64_t classes, uint64_t seed = 1,
                          at::ScalarType type = at::kDouble) {
  const Stream s = Stream(seed).at("batch");
  return {s.at("x").normal(shape, test::on_device(type)), s.at("y")
                                                              .uniform({shape[0]})
                                                              .mul_(static_cast<double>(classes))
                                                              .to(test::on_device(at::kLong))};
}

/// Convolutions with every setting that a weight's substitute has to follow: stride, padding,
/// dilation, groups. Input [3, 9, 9], 5 classes.
inline Graph conv_net(uint64_t seed = 1, const std::string& function = "tanh") {
  Graph net;
  int x = net.input({{3, 9, 9}});
  x = net.add(activation(function), {net.add(conv2d({.out = 4, .padding = 1}), {x}, "conv1")});
  x = net.add(activation(function),
              {net.add(conv2d({.out = 6, .stride = 2, .padding = 1, .groups = 2}), {x}, "conv2")});
  x = net.add(activation(function),
              {net.add(conv2d({.out = 8, .kernel = 3, .kernel_w = 2, .padding = 2, .dilation = 2}),
                       {x}, "conv3")});
  x = net.add(global_average_pool(), {x});
  net.output(net.add(linear(5), {x}, "fc"));
  net.to(test::test_device(), at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(seed).at("init"));
  return net;
}

/// One linear layer used twice in a row, between two others: tied weights.
inline Graph tied_net(uint64_t seed = 1) {
  Graph net;
  int x = net.add(activation("tanh"), {net.add(linear(6), {net.input({{4}})}, "in")});
  const OpPtr first = linear(6);
  x = net.add(activation("tanh"), {net.add(first, {x}, "loop1")});
  x = net.add(
      activation("tanh"),
      {net.add(std::make_shared<Linear>(first->params()[0], first->params()[1]), {x}, "loop2")});
  net.output(net.add(linear(3), {x}, "out"));
  net.to(test::test_device(), at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(seed).at("init"));
  return net;
}

inline std::vector<Tensor> values_of(const Graph& net) {
  std::vector<Tensor> out;
  for (const ParamPtr& param : net.params()) out.push_back(param->value.clone());
  return out;
}

/// |a - b| / |b|, direction and magnitude in one number.
inline double distance(const Tensor& a, const Tensor& b) {
  return (a - b).norm().item<double>() / b.norm().item<double>();
}

/// Largest relative distance between the parameters of two networks.
inline double distance(const Graph& a, const Graph& b) {
  double worst = 0;
  const auto pa = a.params(), pb = b.params();
  for (size_t i = 0; i < pa.size(); ++i)
    worst = std::max(worst, distance(pa[i]->value, pb[i]->value));
  return worst;
}

/// The rule's gradients against backprop's at the same weights, one row per parameter.
inline std::vector<GradientRow> against_backprop(Learner& rule, Graph& net, const Loss& loss,
                                                 const BatchOf& batch) {
  return compare_gradients(dynamic_cast<Rule&>(rule),
                           Step::look_at({.inputs = batch.x}, batch.y));
}

/// The rule's gradients on a batch.
inline std::vector<Tensor> gradients_of(TestRun& run, Graph& net, const Loss& loss,
                                        const BatchOf& batch) {
  const auto by_name = gradients(run.rule(), net, loss, batch.x, batch.y);
  std::vector<Tensor> out;
  for (const ParamPtr& param : net.params()) out.push_back(by_name.at(param->name));
  return out;
}

inline std::vector<FeedbackFact> facts_of(TestRun& run) {
  return run.rule().feedback();
}

/// Everything that a checkpoint of the trainer would hold of a run.
inline void checkpoint(TestRun& run, Graph& net, StateIO io) {
  for (const ParamPtr& param : net.params()) io.tensor("net." + param->name, param->value);
  for (const ParamPtr& param : run.rule().owned()) io.tensor("rule." + param->name, param->value);
  run.updater().state(io.scope("updater"));
  run.rule().state(io.scope("rule"));
}

/// The sentence of the refusal that the call throws; "" if it throws none.
template <class F>
std::string refusal(F call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace altprop::testing
