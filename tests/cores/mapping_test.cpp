// What the hardware asks for is looked at core by core; everything else is refused by its name.
#include "altprop/cores/mapping.h"

#include <gtest/gtest.h>

#include <functional>

#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "cores/support.h"
#include "network/check_op.h"
#include "rules/own_operations.h"

namespace altprop::cores::testing {
namespace {

/// The same network, its dropouts replaced by operations that are called otherwise.
Graph with_own_masks(const Graph& net) {
  Graph out;
  for (const Node& node : net.nodes())
    if (!node.op)
      out.input(node.spec, node.name);
    else
      out.add(node.op->traits().masks ? std::make_shared<own::Drop>() : node.op, node.inputs,
              node.name);
  out.output(net.output_node());
  return out;
}

Graph small_net(
    const std::string& text = "chain: cores 3 patch=4 stride=2, cores 6, class-sums 3") {
  Graph net = network(text, {.input_shape = {1, 6, 6}, .classes = 3});
  initialise(net, Initialiser("zero"), Stream(1).at("init"));
  return net;
}

TEST(CoreMapping, IsTheNetworkCoreByCore) {
  Graph net = small_net();
  const Mapping mapping = mapping_of(net);
  ASSERT_EQ(mapping.cores.size(), 5u);
  EXPECT_EQ(mapping.inputs(), 36);
  EXPECT_EQ(mapping.neurons(), 4 * 3 + 6);
  EXPECT_EQ(mapping.synapses(), 4 * 3 * 16 + 6 * 12);
  EXPECT_EQ(mapping.cores[3].axons[0], (AxonSource{-1, 2 * 6 + 2}));
  EXPECT_EQ(mapping.cores[4].axons[4], (AxonSource{1, 1}));
  EXPECT_EQ(mapping.votes[4], (Vote{4, 4, 1}));
  const Tensor c = net.params()[0]->value;
  EXPECT_TRUE(at::equal(mapping.cores[2].connections, c.narrow(0, 6, 3)));
  const auto* layer = dynamic_cast<const CoreLayer*>(net.node(net.find("cores1")).op.get());
  ASSERT_TRUE(layer);
  for (int64_t i = 0; i < 16; ++i)
    EXPECT_EQ(
        mapping.cores[1]
            .strengths[2][static_cast<size_t>(mapping.cores[1].types[static_cast<size_t>(i)])],
        static_cast<int>(layer->strengths()[5][i].item<float>()));
}

TEST(CoreMapping, DeterministicSynapsesAreRounded) {
  Graph net = small_net(
      "chain: cores 3 patch=4 stride=2 synapse=deterministic, cores 6 synapse=deterministic, "
      "class-sums 3");
  net.params()[1]->value.fill_(1.4);
  const Mapping mapping = mapping_of(net);
  EXPECT_TRUE(at::equal(mapping.cores[0].connections,
                        net.params()[0]->value.narrow(0, 0, 3).gt(0.5).to(at::kFloat)));
  EXPECT_EQ(mapping.cores[0].leaks[0], 1);
}

TEST(CoreMapping, EveryConstraintIsRefusedByItsPlace) {
  const Mapping right = mapping_of(small_net());
  const auto refused = [&](const std::function<void(Mapping&)>& spoil, const std::string& part) {
    Mapping wrong = right;
    for (MappedCore& core : wrong.cores) core.connections = core.connections.clone();
    spoil(wrong);
    expect_refusal([&] { validate(wrong); }, part);
  };
  validate(right);
  refused([](Mapping& m) { m.cores.clear(); }, "no core");
  refused([](Mapping& m) { m.votes.clear(); }, "no neuron is counted");
  refused([](Mapping& m) { m.cores[1].axons.resize(257); }, "core 1: it has 257 axons");
  refused([](Mapping& m) { m.cores[1].axons.clear(); }, "core 1: it has 0 axons");
  refused([](Mapping& m) { m.cores[1].types.pop_back(); }, "core 1: 16 axons have 15 types");
  refused([](Mapping& m) { m.cores[1].types[7] = 4; }, "core 1, axon 7: its type is 4");
  refused([](Mapping& m) { m.cores[1].types[7] = -1; }, "core 1, axon 7");
  refused([](Mapping& m) { m.cores[4].axons[2] = {4, 0}; }, "core 4, axon 2: it reads core 4");
  refused([](Mapping& m) { m.cores[4].axons[2] = {-2, 0}; }, "core 4, axon 2");
  refused([](Mapping& m) { m.cores[4].axons[2] = {1, 3}; }, "core 4, axon 2: it reads neuron 3");
  refused([](Mapping& m) { m.cores[4].axons[2] = {1, -1}; }, "core 4, axon 2");
  refused([](Mapping& m) { m.cores[0].axons[2] = {-1, 36}; }, "core 0, axon 2: it reads input 36");
  refused(
      [](Mapping& m) {
        m.cores[4].axons[2] = {1, 1};
      },
      "core 1, neuron 1: it goes to axon 2 of core 4 and to axon 4 of core 4");
  refused(
      [](Mapping& m) {
        m.votes[0] = {0, 0, 0};
      },
      "core 0, neuron 0: it goes to axon 0 of core 4");
  refused([](Mapping& m) { m.votes[1] = m.votes[0]; }, "core 4, neuron 0");
  refused([](Mapping& m) { m.votes[1].neuron = 6; }, "core 4, neuron 6");
  refused([](Mapping& m) { m.votes[1].core = 5; }, "core 5, neuron 1");
  refused([](Mapping& m) { m.votes[1].of_class = 3; }, "class 3");
  refused([](Mapping& m) { m.cores[2].strengths[1][3] = 256; },
          "core 2, neuron 1: a strength of 256");
  refused([](Mapping& m) { m.cores[2].leaks[1] = -255.5; }, "core 2, neuron 1: its leak is -255.5");
  refused([](Mapping& m) { m.cores[2].leaks[1] = NAN; }, "core 2, neuron 1");
  refused([](Mapping& m) { m.cores[2].leaks.pop_back(); }, "core 2: 3 neurons have 2 leaks");
  refused([](Mapping& m) { m.cores[2].strengths.clear(); }, "core 2: it has 0 neurons");
  refused([](Mapping& m) { m.cores[2].connections[1][5] = 1.01; }, "core 2, neuron 1, axon 5");
  refused([](Mapping& m) { m.cores[2].connections[1][5] = NAN; }, "core 2, neuron 1, axon 5");
  refused([](Mapping& m) { m.cores[2].connections = at::zeros({3, 15}); }, "core 2: connections");
  refused(
      [](Mapping& m) {
        m.cores[2].connections = at::zeros({3, 16}, at::kDouble);
      },
      "core 2: connections");
}

TEST(CoreMapping, StrengthsThatAreNoTablesAreRefused) {
  for (const auto& [value, part] : std::vector<std::pair<double, std::string>>{
           {0.5, "whole numbers"}, {7, "a table of one strength for each type"}, {NAN, "whole"}}) {
    Graph net = small_net();
    for (auto& [name, buffer] : net.buffers())
      if (name == "cores1.strengths") (*buffer)[4][3] = value;
    expect_refusal([&] { mapping_of(net); }, part);
    expect_refusal([&] { mapping_of(net); }, "core 1, neuron 1, axon");
  }
}

TEST(CoreMapping, NetworksThatAreNoChainsOfCoresAreRefused) {
  const InputInfo info{.input_shape = {36}, .classes = 3};
  expect_refusal([&] { mapping_of(network("mlp:36-3", info)); },
                 "no core holds the operation linear");
  expect_refusal([&] { mapping_of(network("chain: cores 3", info)); }, "class-sums");
  expect_refusal([&] { mapping_of(network("chain: class-sums 3", info)); }, "no cores in front");
  expect_refusal(
      [&] {
        mapping_of(network("chain: cores 12 fire-on-zero=true, cores 6, class-sums 3", info));
      },
      "at a sum of 0");
  Graph dropped = network("chain: cores 6, dropout 0.5, class-sums 3", info);
  EXPECT_EQ(mapping_of(dropped).votes.size(), 6u) << "dropout is for training";
  EXPECT_EQ(mapping_of(with_own_masks(dropped)).votes.size(), 6u) << "whatever it is called";
}

}  // namespace
}  // namespace altprop::cores::testing
