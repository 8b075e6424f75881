// Relaxation by rows of the batch on several threads: what it computes is what the loop over the
// whole batch computes, and it is used where it should be and nowhere else.
#include "altprop/rules/relaxation/row_blocks.h"

#include <atomic>

#include "altprop/network/architecture.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/aten_box.h"
#include "altprop/network/ops/autograd.h"
#include "altprop/network/ops/linear.h"
#include "altprop/probes/kernels.h"
#include "rules/relaxation/fixture.h"
#include "support/threads.h"

namespace altprop::testing {
namespace {

constexpr int64_t kRowsApart = 21;  // does not divide by the threads

/// NamedGradients of a rule on some threads.
std::map<std::string, Tensor> gradients_on(int threads, const std::string& rule,
                                           const OptionValues& settings, Graph& net,
                                           const BatchOf& batch,
                                           const std::string& minimised = "cross-entropy") {
  const test::Threads t(threads);
  const auto loss = make_loss(minimised);
  auto learner = make_rule(rule, settings);
  learner->bind(net, *loss, 1);
  return gradients(*learner, net, *loss, batch.x, batch.y);
}

TEST(RowBlocks, GiveWhatTheWholeBatchGives) {
  if (!test::test_device().is_cpu()) GTEST_SKIP() << "blocks are for the CPU";
  const std::vector<std::pair<std::string, OptionValues>> rules = {
      {"activation-relaxation", {{"ar.engine", "loop"}, {"ar.steps", "12"}}},
      {"activation-relaxation",
       {{"ar.engine", "loop"}, {"ar.schedule", "gauss-seidel"}, {"ar.feedback", "fixed"}}},
      {"predictive-coding",
       {{"pc.mode", "fixed"}, {"pc.engine", "loop"}, {"pc.eta", "0.3"}, {"pc.steps", "9"}}},
      {"predictive-coding",
       {{"pc.mode", "fixed"}, {"pc.schedule", "red-black"}, {"pc.steps", "9"}}},
      {"predictive-coding", {{"pc.mode", "strict"}, {"pc.eta", "0.1"}, {"pc.steps", "15"}}},
      {"predictive-coding",
       {{"pc.mode", "strict"}, {"pc.integrator", "heun"}, {"pc.schedule", "synchronous"}}},
      {"predictive-coding",
       {{"pc.mode", "strict"}, {"pc.schedule", "gauss-seidel"}, {"pc.momentum", "0.5"}}}};
  Graph dense = mlp({6, 8, 7, 5}, "tanh", 1, at::kDouble), image = conv_net();
  const BatchOf rows = draw_batch({kRowsApart, 6}, 5),
                images = draw_batch({kRowsApart, 3, 9, 9}, 5);
  for (const auto& [rule, settings] : rules)
    for (const bool on_images : {false, true}) {
      Graph& net = on_images ? image : dense;
      const BatchOf& batch = on_images ? images : rows;
      const auto alone = gradients_on(1, rule, settings, net, batch),
                 shared = gradients_on(2, rule, settings, net, batch);
      for (const auto& [name, gradient] : alone)
        EXPECT_LT(distance(shared.at(name), gradient), 1e-12)
            << rule << ' ' << name << (on_images ? " of images" : "");
    }
}

TEST(RowBlocks, GiveWhatTheWholeBatchGivesWhereStatesSettle) {
  if (!test::test_device().is_cpu()) GTEST_SKIP() << "blocks are for the CPU";
  const std::string dense = "mlp:6-8-7-5:hard-sigmoid:bias=false",
                    image =
                        "chain: conv 4 k=3, hard-sigmoid, maxpool 2, conv 6 k=2, hard-sigmoid, "
                        "avgpool 2, flatten, linear 5";
  const std::vector<std::tuple<std::string, OptionValues, std::string, std::string>> cases = {
      {"corinfomax", {{"cim.free-steps", "9"}}, dense, "squared-error"},
      {"corinfomax", {{"cim.phases", "three"}}, "mlp:6-8-5:relu:bias=false", "squared-error"},
      {"equilibrium-propagation", {}, dense, "cross-entropy"},
      {"equilibrium-propagation", {{"ep.dynamics", "synchronous"}}, image, "cross-entropy"},
      {"equilibrium-propagation", {{"ep.estimator", "one-sided"}}, image, "cross-entropy"},
      {"equilibrium-propagation", {{"ep.weights", "separate"}}, image, "cross-entropy"}};
  for (const auto& [rule, settings, text, minimised] : cases) {
    const bool on_images = text == image;
    const BatchOf batch =
        on_images ? draw_batch({kRowsApart, 2, 9, 9}, 5) : draw_batch({kRowsApart, 6}, 5);
    Graph net = network(text, {.input_shape = batch.x.sizes().slice(1).vec(), .classes = 5});
    net.to(test::test_device(), at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    const auto alone = gradients_on(1, rule, settings, net, batch, minimised),
               shared = gradients_on(2, rule, settings, net, batch, minimised);
    for (const auto& [name, gradient] : alone) {
      EXPECT_GT(gradient.norm().item<double>(), 0) << rule << ' ' << name;
      EXPECT_LT(distance(shared.at(name), gradient), 1e-11) << rule << ' ' << name << ' ' << text;
    }
  }
}

/// Multiples of 1/4 up to 1: sums and products of a few steps with them have no rounding, so that
/// their order does not matter.
Tensor quarters(const Tensor& like, const std::string& name) {
  return Stream(9).at(name).uniform(-4, 5, like.sizes(), like.options()).floor_().mul_(0.25);
}

TEST(RowBlocks, DrawTheMasksOfTheWholeBatchToTheLastBit) {
  if (!test::test_device().is_cpu()) GTEST_SKIP() << "blocks are for the CPU";
  const std::vector<std::pair<std::string, OptionValues>> rules = {
      {"activation-relaxation", {{"ar.engine", "loop"}, {"ar.eta", "0.25"}, {"ar.steps", "3"}}},
      {"predictive-coding", {{"pc.mode", "strict"}, {"pc.eta", "0.25"}, {"pc.steps", "3"}}},
      {"predictive-coding",
       {{"pc.mode", "fixed"}, {"pc.engine", "loop"}, {"pc.eta", "0.25"}, {"pc.steps", "3"}}}};
  Graph net = network("chain: dropout 0.5, linear 8, relu, dropout 0.5, linear 7, relu, linear 4",
                      {.input_shape = {6}, .classes = 4});
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  for (const ParamPtr& param : net.params())
    param->value.copy_(quarters(param->value, param->name));
  const auto loss = make_loss("squared-error");
  const Tensor x = quarters(at::empty({32, 6}, at::kDouble), "x"),
               y = quarters(at::empty({32, 4}, at::kDouble), "y");
  for (const Tensor& ids : {Tensor(), Stream(3).permutation(1000).narrow(0, 0, 32)})
    for (const auto& [rule, settings] : rules) {
      const auto on = [&](int threads, int64_t index) {
        const test::Threads t(threads);
        auto learner = make_rule(rule, settings);
        learner->bind(net, *loss, 1);
        return gradients(*learner, net, *loss, x, y, index, false, {}, ids);
      };
      const auto alone = on(1, 0), shared = on(2, 0), next = on(1, 1);
      for (const auto& [name, gradient] : alone) {
        EXPECT_TRUE(at::equal(shared.at(name), gradient))
            << rule << ' ' << name << (ids.defined() ? " with numbers" : " by place");
        EXPECT_FALSE(at::equal(next.at(name), gradient)) << "the masks matter: " << name;
      }
    }
}

/// A box in which samples meet keeps the batch whole, whoever has not said so.
TEST(RowBlocks, ACentredModelLearnsTheSameOnTwoThreads) {
  if (!test::test_device().is_cpu()) GTEST_SKIP() << "blocks are for the CPU";
  Graph net;
  int at = net.add(linear(8), {net.input({{6}})}, "in");
  at = net.add(aten_box({.program = R"([
      {"op": "aten::mean", "overload": "dim", "args": [{"v": 0}, [0], true, null]},
      {"op": "aten::sub", "overload": "Tensor", "args": [{"v": 0}, {"v": 1}, 1]}])"}),
               {at}, "centred");
  net.output(net.add(linear(5), {net.add(activation("tanh"), {at})}, "out"));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  const BatchOf batch = draw_batch({64, 6}, 5);
  const OptionValues settings = {{"pc.mode", "strict"}, {"pc.eta", "0.1"}, {"pc.steps", "8"}};
  const auto alone = gradients_on(1, "predictive-coding", settings, net, batch),
             shared = gradients_on(2, "predictive-coding", settings, net, batch);
  for (const auto& [name, gradient] : alone)
    EXPECT_LT(distance(shared.at(name), gradient), 1e-12) << name;
}

TEST(RowBlocks, CoverEveryRowOnce) {
  const test::Threads threads(3);
  Graph net = mlp({6, 8, 5}, "tanh", 1, at::kDouble);
  const BatchOf batch = draw_batch({100, 6}, 5);
  const Look look{.inputs = batch.x};
  StatePass pass(net, Cut::Blocks);
  RowBlocks blocks(pass);
  const Tensor output = pass.forward(look);
  Tensor seen = at::zeros({100}, batch.x.options());
  std::atomic<int> calls = 0;
  blocks.run(look, [&](const RowBlock& block, StatePass&, const Tensor& rows) {
    ++calls;
    block.of(seen).add_(1);
    EXPECT_TRUE(at::allclose(rows, block.of(output), 1e-12, 1e-12));
  });
  EXPECT_EQ(calls, 3);
  EXPECT_TRUE(at::equal(seen, at::ones_like(seen)));
}

TEST(RowBlocks, AreForSeveralThreadsAndSamplesThatKeepToThemselves) {
  if (!test::test_device().is_cpu()) GTEST_SKIP() << "blocks are for the CPU";
  const auto fit = [&](const std::string& text, int64_t rows) {
    Graph net = network(text);
    initialise(net, Initialiser("xavier"), Stream(1));
    const BatchOf batch = draw_batch({rows, 6}, 5, 1, at::kFloat);
    return RowBlocks(StatePass(net, Cut::Blocks)).number({.inputs = batch.x}) > 1;
  };
  const std::string plain = "mlp:6-8-5:relu";
  {
    const test::Threads threads(2);
    EXPECT_TRUE(fit(plain, 16));
    EXPECT_FALSE(fit(plain, 15)) << "too few rows";
    EXPECT_FALSE(fit(plain + ":norm=batch", 64)) << "samples share statistics";
    EXPECT_TRUE(fit(plain + ":dropout=0.5", 64)) << "every sample draws a mask of its own";
    Graph opaque;
    opaque.output(
        opaque.add(autograd_op("taped", [](auto x) { return x[0] * 2; }), {opaque.input({{6}})}));
    const BatchOf rows = draw_batch({64, 6}, 5, 1, at::kFloat);
    EXPECT_EQ(RowBlocks(StatePass(opaque, Cut::Blocks)).number({.inputs = rows.x}), 1)
        << "a module may draw for the batch";
    bool counted = false;
    count_kernels([&] { counted = fit(plain, 64); });
    EXPECT_TRUE(counted) << "a step that is counted is one like any other";
    const WholeBatches whole;
    EXPECT_FALSE(fit(plain, 64));
  }
  const test::Threads threads(1);
  EXPECT_FALSE(fit(plain, 64));
}

TEST(RowBlocks, StrictMeasuresABatchOnce) {
  const auto loss = make_loss("cross-entropy");
  const BatchOf batch = draw_batch({20, 6}, 4, 1, at::kFloat);
  const auto running = [&](const std::string& rule, const OptionValues& options) {
    Graph net = network("mlp:6-8-7-4:tanh:norm=batch");
    net.to(test::test_device(), at::kFloat);
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    auto learner = make_rule(rule, options);
    learner->bind(net, *loss, 1);
    gradients(*learner, net, *loss, batch.x, batch.y);
    std::vector<Tensor> out;
    for (auto& [name, tensor] : net.buffers()) out.push_back(tensor->clone());
    return out;
  };
  const auto once = running("backprop", {});
  const auto strict =
      running("predictive-coding", {{"pc.mode", "strict"}, {"pc.eta", "0.05"}, {"pc.steps", "8"}});
  ASSERT_EQ(once.size(), 4u);
  for (size_t i = 0; i < once.size(); ++i)
    EXPECT_TRUE(at::allclose(once[i], strict[i], 1e-5, 1e-6)) << i;
}

}  // namespace
}  // namespace altprop::testing
