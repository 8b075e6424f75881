#include "altprop/network/architecture.h"

#include <fstream>

#include "altprop/network/gradients.h"
#include "altprop/network/loss.h"
#include "altprop/network/ops/combine.h"
#include "network/support.h"

namespace altprop::test {
namespace {

struct Known {
  std::string text;
  InputInfo info;
  int64_t parameters;
  std::vector<int64_t> output;
};

TEST(Architecture, HasTheKnownSizes) {
  const std::vector<Known> table = {
      {"mlp:784-500-500-10:relu", {}, 784 * 500 + 500 + 500 * 501 + 5010, {10}},
      {"mlp:*-20-*:tanh", {{1, 6, 5}, 7}, 30 * 20 + 20 + 20 * 7 + 7, {7}},
      {"mlp:784-128x19-10:tanh:bias=false", {}, 784 * 128 + 18 * 128 * 128 + 1280, {10}},
      {"mlp:20-30-10:relu:norm=batch,out=sigmoid", {}, 20 * 30 + 30 + 60 + 310, {10}},
      {"lenet-mnist",
       {},
       61706,
       {10}},  // LeCun et al. 1998, with full connections in the second layer
      {"lenet5:tanh:pool=average", {{1, 32, 32}, 10}, 61706, {10}},
      {"lenet-cifar", {}, 896 + 18496 + 73856 + 33024 + 2570, {10}},
      {"lenet-cifar", {{3, 32, 32}, 100}, 896 + 18496 + 73856 + 33024 + 25700, {100}},
      {"resnet-20", {}, 269722, {10}},  // He et al. 2015, table 6: 0.27 M
      {"resnet-56", {}, 853018, {10}},  // 0.85 M
      {"resnet:20:shortcut=B", {}, 272474, {10}},
      {"resnet-18", {{3, 224, 224}, 1000}, 11689512, {1000}},  // torchvision
      {"resnet-34", {{3, 224, 224}, 1000}, 21797672, {1000}},
      {"vgg:128-M-128-M-256-M-256-M-512-M:elu",
       {},
       3 * 1152 + 128 + 128 * 1152 + 128 + 128 * 2304 + 256 + 256 * 2304 + 256 + 256 * 4608 + 512 +
           5130,
       {10}},
      // Equilibrium propagation's net: the last map is 1 x 1, which the table of its paper states.
      {"vgg:128-M-256-M-512-M-512v-M",
       {},
       3 * 1152 + 128 + 128 * 2304 + 256 + 256 * 4608 + 512 + 512 * 4608 + 512 + 5130,
       {10}},
      // The net of Rosenbaum 2022 (arXiv 2106.13082): 32 695 parameters.
      {"chain: conv 10 k=3, relu, maxpool 2, conv 5 k=3, relu, linear 50, relu, linear 30, relu, "
       "linear *",
       {{1, 28, 28}, 10},
       32695,
       {10}},
  };
  for (const Known& known : table) {
    const Graph net = network(known.text, known.info);
    EXPECT_EQ(parameters(net), known.parameters) << known.text;
    EXPECT_EQ(net.node(net.output_node()).spec.shape, known.output) << known.text;
  }
}

TEST(Architecture, ExamplesOfTheRegistryRunAndLearn) {
  for (const ArchitectureEntry& entry : architecture_entries()) {
    Graph net =
        ready(entry.example, entry.name == "chain" ? InputInfo{{1, 28, 28}, 10} : InputInfo{});
    const bool of_pixels = entry.name == "cnf-image", of_tokens = entry.name == "gpt";
    Tensor x = of_tokens ? Stream(2).uniform(0, 65, {2, 64}).to(at::kLong) : random_batch(net, 2);
    if (of_pixels || entry.name == "relpsp" || entry.name == "truenorth") x = x.sigmoid();
    Activity activity;
    const Tensor y = net.run(x, activity, Pass{Mode::Train, Stream(3)});
    const bool sequence = entry.name == "rnn" || entry.name == "lstm";
    const int64_t outputs = of_pixels ? 33 : entry.density ? x.size(1) + 1 : 10;
    ASSERT_EQ(y.sizes(), of_tokens  ? IntArrayRef({2, 64, 65})
                         : sequence ? IntArrayRef({2, 50, 65})
                                    : IntArrayRef({2, outputs}))
        << entry.name;
    Feedback exact;
    Gradients sink;
    net.sweep(activity, {{net.output_node(), at::ones_like(y)}}, exact, &sink);
    for (const ParamPtr& param : net.params()) {
      if (!param->learnt) continue;
      const Tensor found = sink.of_param(*param);
      ASSERT_TRUE(found.defined()) << entry.name << ": no gradient for " << param->name;
      EXPECT_TRUE(found.isfinite().all().item<bool>()) << entry.name << " " << param->name;
    }
    EXPECT_FALSE(entry.summary.empty() || entry.grammar.empty()) << entry.name;
  }
}

TEST(Architecture, GradientOfAResidualNetMatchesFiniteDifferences) {
  for (const char* text : {"resnet-8:tanh:width=4", "resnet-8:tanh:width=4,shortcut=B"}) {
    Graph net = ready(text, {.input_shape = {2, 8, 8}, .classes = 3});
    net.to(at::kCPU, at::kDouble);
    const Tensor x = random_batch(net, 4, at::kDouble);
    const Tensor target = at::tensor({0, 2, 1, 2}, at::kLong);
    const auto loss = make_loss("cross-entropy");
    auto value = [&] {
      Activity scratch;
      return loss->value(net.run(x, scratch, Pass{Mode::Train}), target).sum().item<double>();
    };
    Activity activity;
    const Tensor y = net.run(x, activity, Pass{Mode::Train});
    Feedback exact;
    Gradients sink;
    net.sweep(activity, {{net.output_node(), loss->gradient(y, target)}}, exact, &sink);
    for (const ParamPtr& param : net.params()) {
      const int64_t i = Stream(5).at(param->name).integer_at(0, param->value.numel());
      double* entry = param->value.data_ptr<double>() + i;
      const double before = *entry, h = 1e-5;
      *entry = before + h;
      const double above = value();
      *entry = before - h;
      const double below = value();
      *entry = before;
      const double exact_entry = sink.of_param(*param).reshape(-1)[i].item<double>();
      EXPECT_NEAR(exact_entry, (above - below) / (2 * h), 1e-6 * (1 + std::abs(exact_entry)))
          << text << " " << param->name;
    }
  }
}

TEST(Architecture, NamesNodesByWhatTheyAre) {
  const Graph net = network("resnet-8");
  for (const char* name : {"conv1", "norm1", "relu1", "block1.conv1", "block1.add1",
                           "block2.shortcut", "block3.relu2", "gap", "fc"})
    EXPECT_GT(net.find(name), 0) << name;
  EXPECT_EQ(net.params()[0]->name, "conv1.weight");
  const Graph lenet = network("lenet-mnist");
  for (const char* name : {"conv3", "pool2", "flatten", "fc1", "fc2"})
    EXPECT_GT(lenet.find(name), 0) << name;
}

TEST(Architecture, SharesWeightsThatAreTied) {
  const Graph net = network(
      "dag: x = input(6); a = linear(x, 6); b = linear(tanh(a), tie=a); output linear(b, 2)");
  EXPECT_EQ(parameters(net), 36 + 6 + 14);
  EXPECT_EQ(net.node(net.find("a")).op, net.node(net.find("b")).op);
}

TEST(Architecture, TakesSeveralInputsAndOutputs) {
  const Graph net = network(
      "dag: a = input(4); b = input(3)\n y = linear(concat(a, b),\n 5)\n output y, linear(y, 2)");
  EXPECT_EQ(net.input_nodes().size(), 2u);
  EXPECT_EQ(net.output_nodes().size(), 2u);
  EXPECT_EQ(net.node(net.find("y")).spec.shape, (std::vector<int64_t>{5}));
}

TEST(Architecture, ReadsTextFromAFile) {
  const std::string path = ::testing::TempDir() + "altprop_net.txt";
  std::ofstream(path) << "dag:  # a comment: with = and (\n"
                         "  x = input(1, 8, 8)\n"
                         "  a = relu(conv(x, 4,   # another\n    k=3))\n\n"
                         "  output linear(gap(a), 3)\n";
  EXPECT_EQ(parameters(network("@" + path)), 40 + 15);
}

TEST(Architecture, ChainToleratesWhiteSpaceAndBrackets) {
  const InputInfo info{{1, 8, 8}, 3};
  const Graph a = network("chain: conv 4 k=3 p=1, leaky-relu 0.2, maxpool 2, linear *", info);
  const Graph b = network(
      " chain :\n conv( 4,kernel = 3 , padding=1 ) ,leaky-relu(0.2), max_pool2d 2  ,fc  3 ", info);
  ASSERT_EQ(a.nodes().size(), b.nodes().size());
  for (size_t i = 1; i < a.nodes().size(); ++i) {
    EXPECT_EQ(a.nodes()[i].op->settings(), b.nodes()[i].op->settings());
    EXPECT_EQ(a.nodes()[i].spec, b.nodes()[i].spec);
  }
}

TEST(Builder, BuildsWithSkips) {
  Builder b({2, 6, 6});
  const int before = b.conv(4, {.padding = 1}).relu().here();
  b.conv(4, {.padding = 1}).batch_norm();
  b.join(add(2), {b.here(), before});
  const Graph net = b.relu().global_average_pool().linear(3).finish();
  EXPECT_EQ(net.node(net.output_node()).spec.shape, (std::vector<int64_t>{3}));
  EXPECT_EQ(parameters(net), 76 + 148 + 8 + 15);
}

}  // namespace
}  // namespace altprop::test
