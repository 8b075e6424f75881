#include "altprop/network/describe.h"

#include <sstream>

#include "network/support.h"

namespace altprop {
namespace {

TEST(Describe, CountsAnMlpByHand) {
  const Description d = describe(network("mlp:784-500-10:relu"), 64);
  ASSERT_EQ(d.rows.size(), 4u);  // input, fc1, relu1, fc2
  EXPECT_EQ(d.rows[1].parameters, 784 * 500 + 500);
  EXPECT_EQ(d.forward_flops, 2 * (784 * 500 + 500 * 10));
  // Weight gradients of both layers; credit crosses the second one only.
  EXPECT_EQ(d.training_flops, d.forward_flops + 2 * (784 * 500 + 2 * 500 * 10));
  // The relu works in fc1's memory.
  EXPECT_EQ(d.activation_bytes, 64 * 4 * (500 + 10));
  EXPECT_EQ(d.weight_bytes, 4 * d.parameters);
}

TEST(Describe, CountsConvolutions) {
  const Description d = describe(network("lenet-mnist"));
  EXPECT_EQ(d.parameters, 61706);
  EXPECT_EQ(d.multiply_adds, 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 120 * 400 + 120 * 84 + 840);
}

TEST(Describe, TotalsAreTheSumsOfTheRows) {
  for (const char* text :
       {"resnet-20", "lenet-cifar", "mlp:20-30-10:tanh:norm=batch",
        "dag: x = input(6); a = linear(x, 6); b = linear(relu(a), tie=a); output "
        "linear(b, 2)"}) {
    const Graph net = network(text);
    const nlohmann::json j = describe(net, 8).json();
    int64_t parameters = 0, macs = 0, flops = 0, training = 0, bytes = 0;
    for (const auto& row : j["operations"]) {
      parameters += row["parameters"].get<int64_t>();
      macs += row["multiply_adds"].get<int64_t>();
      flops += row["forward_flops"].get<int64_t>();
      training += row["forward_flops"].get<int64_t>() + row["backward_flops"].get<int64_t>();
      bytes += row["activation_bytes"].get<int64_t>();
    }
    EXPECT_EQ(j["totals"]["parameters"], parameters) << text;
    EXPECT_EQ(parameters, test::parameters(net)) << text;
    EXPECT_EQ(j["totals"]["multiply_adds"], macs) << text;
    EXPECT_EQ(macs, net.multiply_adds({})) << text;
    EXPECT_EQ(j["totals"]["forward_flops"], flops) << text;
    EXPECT_EQ(j["totals"]["training_flops"], training) << text;
    EXPECT_EQ(j["totals"]["activation_bytes"], bytes) << text;
    EXPECT_EQ(describe(net, 16).activation_bytes, 2 * bytes) << text;
  }
}

TEST(Describe, TableIsAlignedAndNamesEverything) {
  Description d = describe(network("lenet-mnist"), 32);
  d.rules = {{"backprop", ""}, {"forward-forward", "it needs a chain"}};
  const std::string table = d.table();
  for (const auto& row : d.rows) EXPECT_TRUE(test::contains(table, row.name)) << row.name;
  EXPECT_TRUE(test::contains(table, "parameters 61706"));
  EXPECT_TRUE(test::contains(table, "forward-forward: it needs a chain"));
  std::istringstream lines(table);
  std::string first, line;
  std::getline(lines, first);
  for (size_t i = 0; i < d.rows.size(); ++i) {
    std::getline(lines, line);
    EXPECT_EQ(line.size(), first.size()) << line;
  }
  EXPECT_EQ(test::message_of([&] { describe(network("lenet-mnist"), 0); }),
            "the batch must be at least 1, but is 0");
}

}  // namespace
}  // namespace altprop
