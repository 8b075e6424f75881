// Every operation with parameters has a constructor that shares those of another (tied weights).
// Which operations there are is asked of the list that covers all words of network texts, so that a
// new one cannot be left out.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/cores/core_layer.h"
#include "altprop/network/graph.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/diagonal.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/group_norm.h"
#include "altprop/network/ops/learnt.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/rms_norm.h"
#include "altprop/ode/time_gate.h"
#include "altprop/spiking/coding.h"
#include "altprop/spiking/constant_slope.h"
#include "altprop/spiking/event.h"
#include "altprop/spiking/window.h"
#include "altprop/weight_flow/ode_to_ode.h"
#include "network/special_operations.h"

namespace altprop {
namespace {

using Params = std::vector<ParamPtr>;

/// Another operation with the parameters of one that has been built; null: nobody knows how.
OpPtr sharing(const Op& op) {
  using namespace altprop::spiking;
  const Params p = op.params();
  if (const auto* conv = dynamic_cast<const Conv*>(&op))
    return std::make_shared<Conv>(conv->form(), conv->chosen(), p[0], p.size() > 1 ? p[1] : nullptr);
  if (const auto* event = dynamic_cast<const Event*>(&op)) {
    const EventSettings& s = event->chosen();
    return std::make_shared<Event>(s, p[0], s.learn_threshold ? p[1] : nullptr,
                                   s.delays ? p.back() : nullptr);
  }
  if (const auto* window = dynamic_cast<const spiking::Window*>(&op))
    return std::make_shared<spiking::Window>(window->chosen(), p[0]);
  if (const auto* cores = dynamic_cast<const cores::CoreLayer*>(&op))
    return std::make_shared<cores::CoreLayer>(cores->layout(), cores->core_settings(), p[0], p[1]);
  if (const auto* flow = dynamic_cast<const weight_flow::OdeToOde*>(&op))
    return std::make_shared<weight_flow::OdeToOde>(*flow);
  const std::string type = op.type();
  if (type == "linear") return std::make_shared<Linear>(p[0], p.size() > 1 ? p[1] : nullptr);
  if (type == "diagonal") return std::make_shared<Diagonal>(p[0], p[1]);
  if (type == "batch_norm") return std::make_shared<BatchNorm>(1e-5, 0.1, p[0], p[1]);
  if (type == "layer_norm")
    return std::make_shared<LayerNorm>(1e-5, p[0]->value.dim() > 1, p[0], p[1]);
  if (type == "group_norm") return std::make_shared<GroupNorm>(2, 1e-5, p[0], p[1]);
  if (type == "rms_norm") return std::make_shared<RmsNorm>(1e-5, p[0]);
  if (type == "gain")
    return std::make_shared<Gain>(p[0], op.settings().empty() ? Over::Last : Over::Channels);
  if (type == "offset") return std::make_shared<Offset>(p[0]);
  if (type == "prepend") return std::make_shared<Prepend>(p[0]);
  if (type == "embedding") return std::make_shared<Embedding>(p[0]);
  if (type == "one-hot") return std::make_shared<Embedding>(p[0], p[1]);
  if (type == "membrane") return membrane(p[0]->value.size(0), 1, p[0]);
  if (type == "constant_slope")
    return std::make_shared<ConstantSlope>(
        ConstantSlopeSettings{.out = p[0]->value.size(0)}, p[0], p[1]);
  if (type == "time_gate") return std::make_shared<ode::TimeGate>(1, p[0], p[1], p[2]);
  return nullptr;
}

/// The same parameters, and the same values.
void expect_shared(const OpPtr& own, const std::vector<Spec>& specs,
                   const std::vector<Tensor>& inputs) {
  own->infer(specs);
  own->build(specs);
  if (own->params().empty()) return;
  for (const ParamPtr& p : own->params())
    p->value = Stream(3).at(p->name).uniform(0, 1, p->value.sizes());
  const OpPtr shared = sharing(*own);
  ASSERT_NE(shared, nullptr) << "say in this file how a '" << own->type() << "' shares parameters";
  shared->infer(specs);
  shared->build(specs);
  ASSERT_EQ(shared->params().size(), own->params().size());
  for (size_t i = 0; i < own->params().size(); ++i)
    EXPECT_EQ(shared->params()[i], own->params()[i]) << own->params()[i]->name;
  Saved a, b;
  EXPECT_TRUE(at::equal(own->forward(inputs, a, {Mode::Train}),
                        shared->forward(inputs, b, {Mode::Train})));
  EXPECT_EQ(shared->settings(), own->settings());
}

TEST(Sharing, EveryOperationWithParametersSharesThem) {
  size_t asked = 0;
  for (const test::Special& c : test::all_operations()) {
    SCOPED_TRACE(c.name);
    const OpPtr own = c.make();
    if (own->parts()) continue;  // made around a graph, which others may be made around as well
    std::vector<Tensor> inputs = c.integers;
    for (const auto& shape : c.shapes) inputs.push_back(Stream(1).uniform(0, 1, shape));
    std::vector<Spec> specs;
    for (const Tensor& x : inputs)
      specs.push_back({.shape = x.sizes().slice(1).vec(), .dtype = dtype_of(x)});
    expect_shared(own, specs, inputs);
    asked += !own->params().empty();
  }
  EXPECT_GT(asked, 15u);
}

/// Those that words make with other parameters than by default, and what no word makes alone.
TEST(Sharing, OptionalParametersToo) {
  using namespace altprop::spiking;
  const Tensor times = Stream(1).uniform(0, 1, {4, 5}), values = Stream(2).uniform(0, 1, {4, 5});
  const std::vector<Spec> five = {Spec{{5}}};
  expect_shared(std::make_shared<Event>(
                    EventSettings{.out = 3, .learn_threshold = true, .delays = true}),
                five, {times});
  expect_shared(std::make_shared<Event>(EventSettings{.out = 3, .delays = true}), five, {times});
  expect_shared(linear(3, false), five, {values});
  expect_shared(conv2d({.out = 3, .bias = false}), {Spec{{2, 4, 4}}},
                {Stream(1).uniform(0, 1, {2, 2, 4, 4})});
  expect_shared(ode::time_gate(), {Spec{{5}}, Spec{{1}}}, {values, at::ones({4, 1})});
  expect_shared(Embedding::one_hot(7, 4, true), {Spec{.shape = {3}, .dtype = Dtype::Int64}},
                {at::tensor({0, 1, 2, 3, 4, 5}, at::kLong).view({2, 3})});
}

TEST(Sharing, OneParameterAtTwoPlacesOfANetworkIsReusedAndLearnsFromBoth) {
  Graph net;
  const OpPtr own = linear(5);
  const int h = net.add(own, {net.input({{5}})});
  net.output(net.add(sharing(*own), {h}));
  EXPECT_EQ(net.params().size(), own->params().size());
  EXPECT_TRUE(net.traits().reuses);
}

TEST(Sharing, WhatDoesNotFitIsRefused) {
  using namespace altprop::spiking;
  const auto wide = std::make_shared<Param>("weight", at::ones({3, 7}));
  const Spec five{{5}};
  for (const OpPtr& op : std::vector<OpPtr>{
           std::make_shared<Event>(EventSettings{.out = 3}, wide, nullptr, nullptr),
           std::make_shared<spiking::Window>(WindowSettings{.out = 3}, wide), membrane(3, 1, wide),
           std::make_shared<Gain>(wide), std::make_shared<Offset>(wide),
           std::make_shared<Prepend>(wide), std::make_shared<RmsNorm>(1e-5, wide),
           std::make_shared<ConstantSlope>(ConstantSlopeSettings{.out = 3}, wide, nullptr)})
    EXPECT_THROW(op->infer({&five, 1}), Refusal) << op->type();
  const weight_flow::OdeToOde without({.flow = "constant", .steps = 2});
  EXPECT_THROW(weight_flow::OdeToOde{without}, UsageError);
}

}  // namespace
}  // namespace altprop
