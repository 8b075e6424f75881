// Which networks settle: the cut into states, what is refused and with which way out.
#include "rules/equilibrium/fixture.h"

namespace altprop::testing {
namespace {

ConvergentNetwork cut(const std::string& text, const std::vector<int64_t>& shape,
                      const std::string& loss = "cross-entropy",
                      const std::string& readout = "auto") {
  return convergent_network(network(text, {.input_shape = shape, .classes = 10}), *make_loss(loss),
                            readout);
}

std::vector<int64_t> shape_of(const ConvergentNetwork& net, size_t state) {
  return net.graph.states[state].spec.shape;
}

TEST(ConvergentNetwork, LinearOutputIsAReadoutOrAState) {
  const std::string text = "mlp:784-50-40-10:hard-sigmoid";
  const ConvergentNetwork read = cut(text, {1, 28, 28});
  EXPECT_TRUE(read.readout);
  EXPECT_FALSE(read.moves(read.output));
  EXPECT_EQ(read.nudged_after, (std::vector<int>{0, 2, 1, 0}));
  EXPECT_EQ(read.depth(), 2);
  for (const auto& [loss, readout] :
       {std::pair{"squared-error", "auto"}, {"cross-entropy", "state"}}) {
    const ConvergentNetwork state = cut(text, {1, 28, 28}, loss, readout);
    EXPECT_FALSE(state.readout);
    EXPECT_EQ(state.nudged_after, (std::vector<int>{0, 3, 2, 1}));
    EXPECT_EQ(state.sigma[3], nullptr);
  }
  EXPECT_TRUE(read.from_inputs[0]);
  EXPECT_FALSE(read.from_inputs[1]);
}

TEST(ConvergentNetwork, MaxPoolingMovesInFrontOfTheActivation) {
  const std::vector<int64_t> image = {3, 16, 16};
  const ConvergentNetwork
      after =
          cut("chain: conv 8 k=3 p=1, hard-sigmoid, maxpool 2, conv 4 k=3, hard-sigmoid, linear *",
              image),
      before =
          cut("chain: conv 8 k=3 p=1, maxpool 2, hard-sigmoid, conv 4 k=3, hard-sigmoid, linear *",
              image);
  for (const ConvergentNetwork* net : {&after, &before}) {
    EXPECT_EQ(shape_of(*net, 1), (std::vector<int64_t>{8, 8, 8}));
    EXPECT_EQ(net->graph.edges[0].map.nodes().size(), 3u);
    EXPECT_TRUE(net->bends[0]);
    EXPECT_FALSE(net->bends[1]);
  }
  const ConvergentNetwork average = cut(
      "chain: conv 8 k=3 p=1, hard-sigmoid, avgpool 2, conv 4 k=3, hard-sigmoid, linear *", image);
  EXPECT_EQ(shape_of(average, 1), (std::vector<int64_t>{8, 16, 16}));
  EXPECT_EQ(average.graph.edges[1].map.nodes().size(), 3u);
  // The networks of the literature as the program knows them.
  const ConvergentNetwork vgg = cut("vgg:128-M-256-M-512-M-512v-M:half-hard-sigmoid", {3, 32, 32});
  EXPECT_EQ(shape_of(vgg, 1), (std::vector<int64_t>{128, 16, 16}));
  EXPECT_EQ(shape_of(vgg, 4), (std::vector<int64_t>{512, 1, 1}));
  EXPECT_TRUE(vgg.readout);
}

TEST(ConvergentNetwork, SkipsShortenTheWayOfTheNudge) {
  const ConvergentNetwork net = cut(
      "dag: x = input(6); a = tanh(linear(x, 5)); b = tanh(linear(a, 5)); c = tanh(linear(b, 5)); "
      "y = linear(add(a, c), *); output y",
      {6});
  EXPECT_EQ(net.nudged_after, (std::vector<int>{0, 1, 2, 1, 0}));
  EXPECT_EQ(net.depth(), 2);
}

TEST(ConvergentNetwork, RefusesWithAnAdmissibleNetwork) {
  const std::vector<std::tuple<std::string, std::vector<int64_t>, std::string, std::string>> cases =
      {{"mlp:784-500-10:relu", {1, 28, 28}, "relu", "mlp:784-500-10:hard-sigmoid"},
       {"mlp:20-30-10:tanh:norm=batch", {20}, "norm", "mlp:20-30-10:tanh"},
       {"mlp:20-30-10:relu:dropout=0.2",
        {20},
        "relu",
        "chain: linear(out=30), hard-sigmoid, dropout(p=0.2), linear(out=10)"},
       {"chain: conv 4 k=3 p=1, batch-norm, relu, maxpool 2, conv 6 k=3 s=2, gelu, gap, linear 10",
        {1, 12, 12},
        "norm",
        "chain: conv(out=4,kernel=3,padding=1), hard-sigmoid, maxpool(kernel=2), "
        "conv(out=6,kernel=3,stride=2), hard-sigmoid, gap, linear(out=10)"}};
  for (const auto& [text, shape, why, instead] : cases) {
    const std::string said = refusal([&, t = text, s = shape] { cut(t, s); });
    EXPECT_NE(said.find(why), std::string::npos) << said;
    EXPECT_NE(said.find("use '" + instead + "'"), std::string::npos) << said;
    EXPECT_EQ(refusal([&, t = instead, s = shape] { cut(t, s); }), "") << instead;
  }
  EXPECT_NE(refusal([] {
              cut("resnet:8:width=4", {3, 32, 32});
            }).find("build the network of hard-sigmoid"),
            std::string::npos);
}

TEST(ConvergentNetwork, RefusesWhatHasNoMeaning) {
  const auto said = [](const std::string& text, const std::string& loss,
                       const std::string& readout) {
    return refusal([&] { cut(text, {6}, loss, readout); });
  };
  EXPECT_NE(said("mlp:6-5-10:tanh", "squared-error", "softmax")
                .find("use --loss cross-entropy, or ep.readout=state"),
            std::string::npos);
  EXPECT_NE(said("mlp:6-5-10:tanh:out=tanh", "cross-entropy", "softmax")
                .find("leave the activation of the output out"),
            std::string::npos);
  EXPECT_NE(said("mlp:6-10", "cross-entropy", "auto").find("no hidden layer"), std::string::npos);
  EXPECT_EQ(said("mlp:6-10", "squared-error", "auto"), "");
  EXPECT_NE(said("dag: x = input(6); h = linear(x, 5); y = linear(multiply(tanh(h), tanh(x)), *); "
                 "output y",
                 "squared-error", "auto"),
            "");
  EXPECT_NE(
      said("dag: x = input(6); h = linear(x, 5); y = linear(add(tanh(h), sigmoid(h)), *); output y",
           "squared-error", "auto")
          .find("put an activation behind it"),
      std::string::npos);
}

TEST(ConvergentNetwork, ASweepUpIsTheFeedForwardNetwork) {
  for (const std::string text :
       {"chain: conv 8 k=3 p=1, hard-sigmoid, maxpool 2, conv 4 k=3, half-hard-sigmoid, maxpool 2, "
        "linear *",
        "chain: conv 8 k=3 p=1, sigmoid, avgpool 2, conv 4 k=3, tanh, gap, linear *"}) {
    EpExample e(text, {3, 12, 12}, 5, "cross-entropy");
    initialise(e.net, Initialiser("xavier"), Stream(4).at("init"));
    e.x = Stream(2).normal({3, 3, 12, 12}, at::kDouble);
    InMotion m(e, Timing::Alternating);
    m.dynamics.sweep_up();
    EXPECT_LT(distance(m.dynamics.output(), e.net.predict(e.x)), 1e-13);
  }
}

}  // namespace
}  // namespace altprop::testing
