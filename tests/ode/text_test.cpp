// ODE blocks in network texts: what they mean, and what bad ones are told.
#include "altprop/network/describe.h"
#include "altprop/network/sites.h"
#include "network/support.h"
#include "ode/fields.h"

namespace altprop::ode {
namespace {

using test::contains;
using test::message_of;

const InputInfo kInfo{.input_shape = {6}, .classes = 3};

std::vector<std::string> names_of_sites(const Graph& net) {
  std::vector<std::string> out;
  const Sites sites(net);
  for (const SiteInfo& site : sites.all())
    if (site.is_leaf()) out.push_back(site.name + ":" + site.op()->type());
  return out;
}

const Block& block_of(const Graph& net) {
  for (const Node& node : net.nodes())
    if (const auto* found = dynamic_cast<const Block*>(node.op.get())) return *found;
  throw Error("no block");
}

TEST(OdeText, ChainsHaveTheRateOfChangeInBraces) {
  const Graph net = network(
      "chain: linear 4, ode{linear 8, tanh, linear 4} solver=rk4 steps=8 T=2, linear *", kInfo);
  EXPECT_EQ(names_of_sites(net),
            (std::vector<std::string>{"fc1:linear", "ode1.fc1:linear", "ode1.tanh1:tanh",
                                      "ode1.fc2:linear", "fc2:linear"}));
  EXPECT_EQ(block_of(net).settings(), "solver=rk4,T=2,steps=8");
  EXPECT_EQ(net.params()[2]->name, "ode1.fc1.weight");
}

TEST(OdeText, TheTimeIsAppendedInFrontOfLinearMapsAndConvolutions) {
  const Graph dense =
      network("chain: ode{linear 8, tanh, linear 6} time=concat rtol=1e-4, linear *", kInfo);
  EXPECT_EQ(dense.params()[0]->value.sizes(), IntArrayRef({8, 7}));
  EXPECT_EQ(dense.params()[2]->value.sizes(), IntArrayRef({6, 9}));
  EXPECT_EQ(block_of(dense).settings(), "solver=dopri5,T=1,rtol=0.0001,atol=1e-06");
  const Graph images = network(
      "chain: conv 4 k=3, ode{layer-norm all=true, relu, conv(4, k=3, p=1)} solver=euler steps=2 "
      "time=concat, gap, linear *",
      {.input_shape = {1, 8, 8}, .classes = 3});
  EXPECT_EQ(names_of_sites(images)[3], "ode1.with_time1:with_time");
  EXPECT_EQ(images.predict(test::random_batch(images, 2)).sizes(), IntArrayRef({2, 3}));
}

TEST(OdeText, DagsHaveStatementsInBraces) {
  const Graph net = network(
      "dag: x = input\n"
      "y = ode(x, solver=rk4, steps=8, T=1){ h = tanh(linear(with-time(z), 64))\n"
      "                                      output linear(h, 6) }\n"
      "output linear(add(y, x), *)",
      kInfo);
  EXPECT_EQ(names_of_sites(net)[0], "y.with_time1:with_time");
  EXPECT_EQ(net.params()[0]->value.sizes(), IntArrayRef({64, 7}));
  EXPECT_EQ(net.params()[0]->name.substr(0, 2), "y.");
  // Inside of a bracket, on one line, and twice with the same weights.
  const Graph nested = network(
      "dag: x = input; y = ode(x, steps=2){output linear(tanh(z), 6)}; w = ode(y, tie=y); output "
      "linear(relu(w), *)",
      kInfo);
  EXPECT_EQ(nested.params().size(), 4u);
  EXPECT_EQ(network("dag: x = input; output linear(ode(x, steps=2){\n a = tanh(z)\n output "
                    "linear(a, 6)\n}, *)",
                    kInfo)
                .params()
                .size(),
            4u);
}

TEST(OdeText, ArchitecturesAreShortForChains) {
  const InputInfo images{.input_shape = {1, 12, 12}, .classes = 3};
  const Graph dense = network("ode-mlp:*-5-8x2-*:relu:solver=heun,steps=3", images);
  EXPECT_EQ(dense.params()[0]->value.sizes(), IntArrayRef({5, 144}));
  EXPECT_EQ(dense.params()[2]->value.sizes(), IntArrayRef({8, 6})) << "state and time";
  EXPECT_EQ(dense.params()[4]->value.sizes(), IntArrayRef({8, 9}));
  EXPECT_EQ(dense.params().back()->value.sizes(), IntArrayRef({3}));
  EXPECT_EQ(block_of(dense).settings(), "solver=heun,T=1,steps=3");
  EXPECT_EQ(names_of_sites(dense)[4], "ode1.relu1:relu");
  const Graph image = network("ode-image:channels=6,rtol=0.1,time=none", images);
  EXPECT_EQ(block_of(image).settings(), "solver=dopri5,T=1,rtol=0.1,atol=0.001");
  EXPECT_EQ(block_of(network("ode-image:channels=4,solver=rk4,steps=2", images)).settings(),
            "solver=rk4,T=1,steps=2");
  EXPECT_EQ(image.params()[8]->value.sizes(), IntArrayRef({6, 6, 4, 4})) << "groups: gcd(6, 32)";
  EXPECT_EQ(image.predict(test::random_batch(image, 2)).sizes(), IntArrayRef({2, 3}));
  EXPECT_TRUE(contains(message_of([] { network("ode-mlp:4-8-3"); }), "four sizes or more"));
  EXPECT_TRUE(contains(message_of([] { network("ode-mlp"); }), "the sizes are missing"));
  EXPECT_TRUE(contains(message_of([] { network("ode-mlp:4-8-8-3:tanh:steps=2,rtol=0.1"); }),
                       "have no effect"));
}

TEST(OdeText, BlocksStandInBlocks) {
  Graph net = network(
      "chain: ode{ode{linear 6, tanh} solver=euler steps=2, linear 6} solver=heun steps=2, linear "
      "*",
      kInfo);
  EXPECT_EQ(set_gradient(net, Gradient::Aca), 2);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  EXPECT_TRUE(net.predict(test::random_batch(net, 2)).isfinite().all().item<bool>());
}

TEST(OdeText, ADescriptionSaysWhatTheBlockCosts) {
  const Graph net =
      network("chain: ode{linear 8, tanh, linear 6} solver=rk4 steps=5, linear *", kInfo);
  const Description::Row row = describe(net).rows[1];
  EXPECT_EQ(row.op, "ode");
  EXPECT_EQ(row.multiply_adds, 5 * 4 * (6 * 8 + 8 * 6));
  EXPECT_EQ(row.parameters, 6 * 8 + 8 + 8 * 6 + 6);
}

TEST(OdeText, WhatABlockSaysOfItsStepsMakesItAgain) {
  for (const std::string words :
       {"solver=rk4 step=0.3", "solver=dopri5 rtol=0.01 atol=1e-06 reference-steps=true"}) {
    const Graph net = network("chain: ode{linear 6} " + words + ", linear *", kInfo);
    std::string said = net.nodes()[1].op->settings();
    std::replace(said.begin(), said.end(), ',', ' ');
    EXPECT_TRUE(contains(said, words.substr(words.rfind(' ') + 1))) << said;
    const Graph again = network("chain: ode{linear 6} " + said + ", linear *", kInfo);
    EXPECT_EQ(again.nodes()[1].op->settings(), net.nodes()[1].op->settings());
  }
  const Graph short_steps = network("ode-mlp:*-6-8-*:tanh:solver=rk4,step=0.4", kInfo);
  EXPECT_EQ(describe(short_steps).rows[2].multiply_adds, 3 * 4 * (7 * 8 + 9 * 6));
}

TEST(OdeText, SaysWhatIsWrongAndWhere) {
  struct Bad {
    std::string text;
    std::vector<std::string> says;
  };
  const std::vector<Bad> table = {
      {"chain: ode, linear *", {"item 1 'ode'", "braces", "ode{"}},
      {"chain: linear{tanh} 4", {"item 1", "'linear'", "braces out"}},
      {"chain: ode{linear 6, linear *", {"item 1", "not closed"}},
      {"chain: ode{linear 6}}, linear *", {"item 1", "closed that was not opened"}},
      {"chain: ode{{linear 6}} steps=2, linear *", {"item 1", "in front of its braces"}},
      {"chain: linear 6, ode{} steps=2, linear *",
       {"item 2, item 1", "write operations in the braces"}},
      {"chain: linear 6}, linear *", {"item 1", "brace is closed"}},
      {"chain: ode{linear 6}{tanh}, linear *", {"item 1", "one pair of braces"}},
      {"chain: ode{}, linear *", {"item 1, item 1", "empty"}},
      {"chain: ode{linear 6, rleu}, linear *", {"item 1, item 2 'rleu'", "did you mean 'relu'"}},
      {"chain: ode{linear 5}, linear *", {"item 1", "[5]", "[6]", "rate of change"}},
      {"chain: ode{linear 6} solver=dopri, linear *", {"item 1", "solver", "'dopri'", "dopri5"}},
      {"chain: ode{linear 6} solver=rk4, linear *", {"item 1", "steps=8"}},
      {"chain: ode{linear 6} steps=4 rtol=1e-5, linear *", {"item 1", "no effect"}},
      {"chain: ode{linear 6} T=0, linear *", {"item 1", "T"}},
      {"chain: ode{linear 6} step=0.1 rtol=1e-5, linear *", {"item 1", "with step=", "no effect"}},
      {"chain: ode{linear 6} step=0.1 reference-steps=true, linear *", {"item 1", "no effect"}},
      {"chain: ode{linear 6} step=0.1 steps=4, linear *", {"item 1", "leave one out"}},
      {"chain: ode{linear 6} step=-0.1, linear *", {"item 1", "step"}},
      {"chain: ode{linear 6} step=1e-8, linear *", {"item 1", "make step longer"}},
      {"chain: ode{linear 6} step=0.1 learn-T=sqrt, linear *", {"item 1", "learnt T", "steps=8"}},
      {"chain: ode{linear 6} rtol=-1, linear *", {"item 1", "rtol"}},
      {"chain: ode{linear 6} rtol=0 atol=0, linear *", {"item 1", "rtol and atol are not both 0"}},
      {"chain: ode{batch-norm, linear 6}, linear *", {"item 1", "layer-norm"}},
      {"chain: with-time, linear *", {"item 1", "braces of an ode"}},
      {"dag: x = input; y = ode(x){output linear(z, 6)", {"'}' is expected"}},
      {"dag: x = input; y = ode(x); output y", {"'ode'", "braces"}},
      {"dag: x = input; y = relu(x){output z}; output linear(y, *)", {"'relu'", "braces out"}},
      {"dag: x = input; y = ode(x){h = linear(z, 6)}; output y", {"has no output"}},
      {"dag: x = input; y = ode(x){output linear(w, 6)}; w = relu(y); output w",
       {"'w'", "no node of that name"}},
      {"chain: ode{linear 6} solver=alf coupling=0.9, linear *", {"item 1", "coupling", "alf"}},
      {"chain: ode{linear 6} interpolate=true, linear *",
       {"item 1", "interpolate", "outputs or times"}},
      {"chain: ode{linear 6} solver=alf outputs=2 interpolate=true, flatten, linear *",
       {"item 1", "use dopri5"}},
      {"dag: x = input; y = ode(x, steps=2, steps-of=sample){output linear(z, 6)}; output y",
       {"steps-of", "no effect"}},
      {"dag: x = input; y = ode(x){output linear(input, 6)}; output y",
       {"not seen in braces", "z"}},
      {"dag: x = input; y = ode(x){z = relu(z); output z}; output y", {"used already"}},
      {"dag: x = input; y = ode(x, time=concat){output linear(z, 6)}; output y", {"with-time(z)"}},
      {"dag: x = input; y = ode(x){output linear(z, 6)}; w = ode(y, tie=y){output z}; output w",
       {"braces out"}},
      {"dag: x = input; y = with-time(x); output linear(y, *)", {"braces of an ode"}},
      {"dag: x = input }; output x", {"statement must end"}},
  };
  for (const Bad& bad : table) {
    const std::string message = message_of([&] { network(bad.text, kInfo); });
    EXPECT_LT(message.size(), 700u);
    for (const std::string& part : bad.says)
      EXPECT_TRUE(contains(message, part))
          << bad.text << "\n  says: " << message << "\n  not: " << part;
  }
}

TEST(OdeText, DeepBracesAreRefused) {
  std::string chain = "chain: ", dag = "dag: x = input; output ";
  for (int i = 0; i < 5000; ++i) chain += "ode{";
  for (int i = 0; i < 3000; ++i) dag += i == 0 ? "ode(x){output " : "ode(z){output ";
  EXPECT_TRUE(contains(message_of([&] { network(chain + std::string(5000, '}'), kInfo); }),
                       "nested too deeply"));
  EXPECT_TRUE(contains(message_of([&] { network(dag, kInfo); }), "nested too deeply"));
}

}  // namespace
}  // namespace altprop::ode
