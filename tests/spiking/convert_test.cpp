// Units of constant slope are ReLUs, and a trained network of these predicts the same as one of
// spike times.
#include "altprop/spiking/convert.h"

#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/architecture.h"
#include "altprop/network/gradients.h"
#include "altprop/rules/registry.h"
#include "altprop/spiking/coding.h"
#include "altprop/spiking/constant_slope.h"
#include "altprop/train/trainer.h"
#include "network/spikes.h"
#include "network/support.h"
#include "rules/own_operations.h"
#include "spiking/support.h"

namespace altprop::spiking::testing {
namespace {

using test::contains;
using test::message_of;

Tensor relu_activities(const Tensor& times, double T) {
  return (T - times).masked_fill(times.isinf(), 0);
}

TEST(SpikingConversion, UnitsOfConstantSlopeAreReLUsUpToTheWindow) {
  Graph net = chain_of({9}, {std::make_shared<ConstantSlope>(ConstantSlopeSettings{
                                .out = 20, .window = 1.2, .input_window = 2})});
  const Tensor w = some_weights(1, 20, 9, 0.05, 0.3), b = Stream(2).normal({20}, at::kDouble) * 0.3;
  net.params()[0]->value.copy_(w);
  net.params()[1]->value.copy_(b);
  const Tensor t = some_times(3, 30, 9, 2), out = net.predict(t);
  const Tensor expected = (at::mm(relu_activities(t, 2), w.t()) + b).clamp(0, 1.2);
  expect_close(relu_activities(out, 1.2), expected, 1e-13, "activities");
  EXPECT_GT(out.isinf().sum().item<int64_t>(), 20);
  EXPECT_GT(out.eq(0).sum().item<int64_t>(), 20) << "cut at the window";
}

TEST(SpikingConversion, KeepsTheContractOfOperations) {
  CheckOptions o;
  o.float_tolerance = 1e-3;
  const auto seen = [](ConstantSlopeSettings s, std::vector<int64_t> shape) {
    auto net = std::make_shared<Graph>();
    int x = net->add(direct_code(1), {net->input({.shape = std::move(shape)})});
    const bool readout = s.readout;
    x = net->add(std::make_shared<ConstantSlope>(s), {x});
    net->output(readout ? x : net->add(std::make_shared<test::Decay>(), {x}));
    return net;
  };
  check_op(seen({.out = 5}, {6}), {{4, 6}}, o);
  check_op(seen({.out = 5, .window = 2, .bias = false}, {6}), {{4, 6}}, o);
  check_op(seen({.out = 5, .readout = true}, {6}), {{4, 6}}, o);
  check_op(seen({.out = 3, .kernel = {.height = 3, .padding = 1}, .window = 2}, {2, 4, 4}),
           {{2, 2, 4, 4}}, o);
}

/// Images whose class is the brightest of three stripes, with noise.
data::Splits stripes() {
  const Tensor y = at::arange(240).remainder(3);
  Tensor x = Stream(5).uniform(0, 0.6, {240, 1, 9, 9});
  for (int64_t i = 0; i < 240; ++i) x[i].narrow(1, 3 * y[i].item<int64_t>(), 3).add_(0.25);
  x.clamp_(0, 1);
  return data::from_tensors(x.narrow(0, 0, 180), y.narrow(0, 0, 180), x.narrow(0, 180, 60),
                            y.narrow(0, 180, 60));
}

TEST(SpikingConversion, ATrainedNetworkPredictsTheSame) {
  const data::Splits data = stripes();
  const Tensor all = at::cat({data.train.inputs, data.test.inputs}, 0);
  for (const char* text : {"mlp:81-30-20-3:relu",
                           "chain: conv 6 k=3 p=1, relu, maxpool 2, conv 8 k=3, "
                           "relu, flatten, linear 12, relu, dropout 0.1, linear 3",
                           "mlp:81-30-3:relu:bias=false"}) {
    Graph net = network(text, {.input_shape = {1, 9, 9}, .classes = 3});
    initialise(net, Initialiser("xavier"), Stream(1));
    const auto rule = make_rule("backprop");
    const auto loss = make_loss("cross-entropy");
    RunSettings s;
    s.epochs = 6;
    s.batch = 20;
    s.optimizer.lr = 0.05;
    s.threads = 1;
    s.probe_every = 0;
    Trainer trainer(net, *rule, *loss, data, s);
    trainer.run();
    ASSERT_GT(*trainer.evaluate(data.test).accuracy(), 0.6) << text;
    const Conversion found = convert_relu_network(net, data.train.inputs, 2);
    const Tensor before = net.predict(all), after = found.net.predict(all);
    expect_close(after, before, 1e-5, text);
    EXPECT_TRUE(at::equal(after.argmax(1), before.argmax(1))) << text;
    // It is one of spikes, of which some never come, and shares the weights.
    Activity activity;
    found.net.run(all, activity, {}, {.keep_values = true});
    int64_t layers = 0, silent = 0;
    for (const Node& node : found.net.nodes())
      if (node.spec.kind == Kind::SpikeTime) {
        ++layers;
        silent += activity.values[static_cast<size_t>(node.id)].isinf().sum().item<int64_t>();
      }
    EXPECT_GE(layers, 2);
    EXPECT_GT(silent, 100);
    EXPECT_EQ(found.net.params(), net.params());
  }
}

TEST(SpikingConversion, AMaskIsForTrainingWhateverItsName) {
  const Tensor x = Stream(2).uniform({20, 9});
  Graph net;
  int h = net.add(relu(), {net.add(linear(12), {net.input({{9}})}, "fc1")});
  h = net.add(std::make_shared<own::Drop>(), {h}, "drop");
  net.output(net.add(linear(3), {h}, "fc2"));
  initialise(net, Initialiser("xavier"), Stream(1));
  expect_close(convert_relu_network(net, x, 2).net.predict(x), net.predict(x), 1e-5, "");
}

TEST(SpikingConversion, RefusesWhatHasNoCounterpart) {
  const auto said = [](const char* text, double brightness = 0.5, double margin = 1.5) {
    Graph net = network(text, {.input_shape = {1, 8, 8}, .classes = 3});
    return message_of([&] {
      convert_relu_network(net, at::full({2, 1, 8, 8}, brightness), margin);
    });
  };
  EXPECT_TRUE(contains(said("mlp:64-9-3:tanh"), "must be followed by relu"));
  EXPECT_TRUE(contains(said("chain: conv 4, bn, relu, linear 3"), "must be followed by relu"));
  EXPECT_TRUE(contains(said("chain: conv 4, relu, avgpool 2, linear 3"), "no counterpart"));
  EXPECT_TRUE(contains(said("chain: linear 9, relu, linear 3, relu"), "must end in a linear map"));
  EXPECT_TRUE(
      contains(said("dag: a = relu(linear(flatten(input), 9)); b = relu(linear(a, 9)); output "
                    "linear(add(a, b), 3)"),
               "does not follow"));
  EXPECT_TRUE(contains(said("mlp:64-9-3:relu", -0.1), "from 0 to 1"));
  EXPECT_TRUE(contains(said("mlp:64-9-3:relu", 0.5, 0.9), "at least 1"));
  EXPECT_EQ(said("mlp:64-9-3:relu"), "no error");
}

}  // namespace
}  // namespace altprop::spiking::testing
