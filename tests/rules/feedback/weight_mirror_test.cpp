// Weight mirror: the statistics of the learnt feedback, its size, and what the options change.
#include "rules/feedback/lab.h"

namespace altprop::testing {
namespace {

/// Mirrors only: `batches` batches of `n` noise samples, weights frozen. Returns the last
/// operation's feedback and weight.
FeedbackFact mirrored(Graph& net, const OptionValues& options, int64_t n, int batches) {
  const auto loss = make_loss("cross-entropy");
  TestRun run(net, *loss, make_rule("wm", options), {.kind = "sgd", .lr = 0});
  const std::vector<int64_t>& shape = net.nodes()[0].spec.shape;
  std::vector<int64_t> rows{n};
  rows.insert(rows.end(), shape.begin(), shape.end());
  const Tensor x = at::zeros(rows, at::kDouble), y = at::zeros({n}, at::kLong);
  const std::vector<Tensor> before = values_of(net);
  for (int i = 0; i < batches; ++i) run.step(x, y, "mirror");
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(at::equal(before[i], net.params()[i]->value));
  return facts_of(run).back();
}

const OptionValues kPlainSum{{"wm.lambda", "0"},
                             {"wm.eta", "1"},
                             {"wm.growth-control", "false"},
                             {"feedback.init", "zero"},
                             {"wm.std", "0.5"}};

TEST(WeightMirror, SumsToTheWeightTimesNoisePowerAtTheKnownAngle) {
  // cos(V, W) = 1 / sqrt(1 + (n_in + 1) / N) for N samples of Gaussian noise.
  for (const auto& [batches, cosine, tolerance] :
       {std::tuple{10, 0.9624, 0.006}, std::tuple{100, 0.9960, 0.001}}) {
    Graph net = mlp({7, 50, 40}, "relu", 5, at::kDouble);
    net.params()[3]->value.fill_(3);  // a bias that must not matter
    const FeedbackFact fact = mirrored(net, kPlainSum, 64, batches);
    const Similarity s = similarity(fact.feedback, fact.weight);
    EXPECT_NEAR(s.cosine, cosine, tolerance);
    EXPECT_NEAR(s.magnitude_ratio * s.cosine / (64 * batches * 0.25), 1, 0.03);
  }
}

TEST(WeightMirror, DecaySetsHowManySamplesCount) {
  // Stationary state: N = n (2 - lambda) / lambda.
  for (const auto& [lambda, cosine, tolerance] :
       {std::tuple{"0.1", 0.9797, 0.004}, std::tuple{"0.01", 0.9980, 0.0006}}) {
    Graph net = mlp({7, 50, 40}, "relu", 5, at::kDouble);
    OptionValues options = kPlainSum;
    options["wm.lambda"] = lambda;
    const FeedbackFact fact = mirrored(net, options, 64, lambda == std::string("0.1") ? 100 : 900);
    EXPECT_NEAR(similarity(fact.feedback, fact.weight).cosine, cosine, tolerance);
  }
}

TEST(WeightMirror, GrowthControlGivesFeedbackTheSizeOfTheWeight) {
  for (const std::string eta : {"0.01", "1"}) {
    Graph net = mlp({7, 60, 20}, "relu", 5, at::kDouble);
    const FeedbackFact fact = mirrored(net, {{"wm.eta", eta}}, 1024, 150);
    const Similarity s = similarity(fact.feedback, fact.weight);
    // Measured on 1024 samples, which leaves 1 % of noise.
    EXPECT_NEAR(s.magnitude_ratio, 1, 0.03) << eta;
    // Rescaling must not make the sum forget: a single batch would leave .971,
    // the stationary state has .9984.
    EXPECT_GT(s.cosine, 0.997) << eta;
  }
}

TEST(WeightMirror, SigmoidResponseScalesRowsByTheMeanSlope) {
  Graph net;
  const int x = net.add(relu(), {net.add(linear(20), {net.input({{7}})}, "fc1")});
  net.output(net.add(activation("sigmoid"), {net.add(linear(3), {x}, "fc2")}));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(5).at("init"));
  net.params()[3]->value.copy_(at::tensor({0.0, 2.0, -4.0}, at::kDouble));
  OptionValues options = kPlainSum;
  options["wm.response"] = "activation";
  options["wm.std"] = "0.1";  // near linear, so that the mean slope is that at the bias
  const FeedbackFact fact = mirrored(net, options, 1000, 300);
  const Tensor slope = at::sigmoid(net.params()[3]->value);
  for (int64_t row = 0; row < 3; ++row) {
    const double expected = (slope[row] * (1 - slope[row])).item<double>() * 300000 * 0.01;
    const double measured = fact.feedback[row].dot(fact.weight[row]).item<double>() /
                            fact.weight[row].pow(2).sum().item<double>();
    EXPECT_NEAR(measured / expected, 1, 0.15) << row;
  }
}

TEST(WeightMirror, TapCorrectionTakesTheBorderOutOfAConvolution) {
  auto net_of = [] {
    Graph net;
    const int x = net.add(conv2d({.out = 6, .padding = 1}), {net.input({{1, 12, 12}})}, "conv1");
    net.output(net.add(conv2d({.out = 6, .padding = 1}), {x}, "conv2"));
    net.to(at::kCPU, at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(5).at("init"));
    return net;
  };
  Graph plain = net_of(), corrected = net_of();
  OptionValues options = kPlainSum;
  options["wm.std"] = "1";
  const FeedbackFact with = mirrored(corrected, options, 200, 60);
  options["wm.tap-correction"] = "false";
  const FeedbackFact without = mirrored(plain, options, 200, 60);
  // What is left of the angle without the correction is that of W with its taps weighted by the
  // number of positions that see them: 121, 132 or 144.
  const Tensor positions = at::tensor({11.0, 12.0, 11.0}, at::kDouble);
  const Tensor weighted = without.weight * at::outer(positions, positions);
  EXPECT_GT(similarity(without.feedback, weighted).cosine, 0.9995);
  EXPECT_LT(similarity(without.feedback, without.weight).cosine, 0.9993);
  EXPECT_GT(similarity(with.feedback, with.weight).cosine, 0.9995);
  EXPECT_NEAR(similarity(with.feedback, with.weight).magnitude_ratio / (12000.0 * 144), 1, 0.02);
}

TEST(WeightMirror, MirrorsStridesDilationsGroupsAndTiedWeights) {
  for (Graph& net : std::vector<Graph>{conv_net(), tied_net()}) {
    const auto loss = make_loss("cross-entropy");
    TestRun run(net, *loss, make_rule("wm", {{"wm.samples", "256"}}), {.kind = "sgd", .lr = 0});
    const std::vector<int64_t>& shape = net.nodes()[0].spec.shape;
    std::vector<int64_t> rows{1};
    rows.insert(rows.end(), shape.begin(), shape.end());
    for (int i = 0; i < 120; ++i)
      run.step(at::zeros(rows, at::kDouble), at::zeros({1}, at::kLong), "mirror");
    for (const FeedbackFact& fact : facts_of(run)) {
      const Similarity s = similarity(fact.feedback, fact.weight);
      EXPECT_GT(s.cosine, 0.99) << fact.name;
      EXPECT_NEAR(s.magnitude_ratio, 1, 0.06) << fact.name;
    }
  }
}

TEST(WeightMirror, FollowsWeightsThatMoveAndWarmsUpFirst) {
  auto rule = make_rule("wm", {{"wm.warmup", "2"}, {"wm.lambda", "0.02"}});
  EXPECT_EQ(rule->passes(0, 2), (std::vector<std::string>{"mirror", "mirror", "train"}));
  EXPECT_EQ(rule->passes(1, 2), (std::vector<std::string>{"train"}));
  Graph net = mlp({6, 40, 30, 4}, "relu", 3, at::kDouble);
  const auto loss = make_loss("cross-entropy");
  TestRun run(net, *loss, std::move(rule), {.kind = "sgd", .lr = 0.05});
  const BatchOf batch = draw_batch({64, 6}, 4);
  for (int i = 0; i < 600; ++i) run.step(batch.x, batch.y);
  EXPECT_GT(distance(net, mlp({6, 40, 30, 4}, "relu", 3, at::kDouble)), 0.2);  // they did move
  for (const FeedbackFact& fact : facts_of(run)) {
    const Similarity s = similarity(fact.feedback, fact.weight);
    EXPECT_GT(s.cosine, 0.99) << fact.name;
    EXPECT_NEAR(s.magnitude_ratio, 1, 0.1) << fact.name;
  }
}

TEST(WeightMirror, FeedbackEqualToTheWeightsGivesBackprop) {
  for (Graph& net : std::vector<Graph>{conv_net(), tied_net()}) {
    const auto loss = make_loss("cross-entropy");
    auto rule = make_rule("wm");
    rule->bind(net, *loss, 1);
    TensorMap map;
    rule->state(StateIO::saving(map));
    for (const FeedbackFact& fact : rule->feedback())
      map.at("feedback." + fact.name).copy_(fact.weight);
    rule->state(StateIO::loading(map));
    const std::vector<int64_t>& shape = net.nodes()[0].spec.shape;
    std::vector<int64_t> rows{5};
    rows.insert(rows.end(), shape.begin(), shape.end());
    for (const GradientRow& row : against_backprop(*rule, net, *loss, draw_batch(rows, 3)))
      EXPECT_LT(row.s.relative_error, 1e-12) << row.name;
  }
}

TEST(WeightMirror, NoiseOfEveryOperationIsItsOwnAndEveryBatchIsNew) {
  Graph net = tied_net(), again = tied_net();
  // Two mirror batches differ from one counted twice.
  OptionValues options = kPlainSum;
  const FeedbackFact one = mirrored(net, options, 32, 1), two = mirrored(again, options, 32, 2);
  EXPECT_GT(distance(two.feedback, one.feedback * 2), 0.05);
}

TEST(WeightMirror, WarnsOfFeedbackThatCannotFollow) {
  const auto warned = make_rule("wm", {{"wm.lambda", "0"}, {"wm.batches", "0"}})->warnings({});
  ASSERT_EQ(warned.size(), 2u);
  EXPECT_NE(warned[0].find("wm.lambda=0"), std::string::npos);
  EXPECT_NE(warned[1].find("wm.batches=0"), std::string::npos);
  EXPECT_TRUE(make_rule("wm")->warnings({}).empty());
}

}  // namespace
}  // namespace altprop::testing
