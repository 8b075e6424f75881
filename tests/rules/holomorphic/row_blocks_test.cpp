// Circles that settle by rows of the batch, in panels or not: the gradients are those of the whole
// batch.
#include "rules/holomorphic/fixture.h"
#include "support/threads.h"

namespace altprop::testing {
namespace {

constexpr int64_t kRowsOfCircle = 27;  // does not divide by the threads

OptionValues brief(int64_t points, const OptionValues& more = {}) {
  return circle(points, 0.1, with({{"hep.free-steps", "30"}, {"hep.nudged-steps", "20"}}, more));
}

NamedGradients on(int threads, EpExample& e, const OptionValues& values) {
  const test::Threads t(threads);
  return hep(e, values);
}

TEST(HolomorphicRowBlocks, GiveWhatTheWholeBatchGives) {
  if (!test::test_device().is_cpu()) GTEST_SKIP() << "blocks are for the CPU";
  const std::string dag =
      "dag: x = input(4); a = tanh(linear(x, 5)); b = tanh(linear(a, 6)); "
      "c = tanh(linear(concat(b, x), 5)); y = linear(add(a, c), 3); output y";
  const std::vector<std::tuple<std::string, std::vector<int64_t>, std::string>> shapes = {
      {"mlp:5-7-6-4-3:sigmoid", {5}, "squared-error"},
      {"mlp:5-6-6-3:tanh", {5}, "cross-entropy"},
      {dag, {4}, "cross-entropy"},
      {"chain: conv 3 k=3 p=1, dsilu, softmaxpool 2, conv 4 k=2, dsilu, gap, linear 3",
       {2, 6, 6},
       "cross-entropy"}};
  const std::vector<OptionValues> kinds = {
      {}, {{"hep.weights", "separate"}}, {{"hep.damping", "0.5"}}};
  for (const auto& [text, shape, loss] : shapes) {
    EpExample e = random_example(text, shape, loss, 0.4, kRowsOfCircle);
    for (const OptionValues& kind : kinds)
      for (const int64_t points : {0, 1, 2, 3, 4}) {
        const NamedGradients alone = on(1, e, brief(points, kind));
        for (const int threads : {2, 3})
          EXPECT_LT(EpExample::apart(on(threads, e, brief(points, kind)), alone), 1e-11)
              << text << " " << points << " points";
      }
  }
}

// Draws, stops by residual and the correction at rest are of the whole batch.
TEST(HolomorphicRowBlocks, AreLeftWhereSamplesAreLookedAtTogether) {
  if (!test::test_device().is_cpu()) GTEST_SKIP() << "blocks are for the CPU";
  EpExample e = random_example("mlp:5-7-6-3:tanh", {5}, "cross-entropy", 0.4, kRowsOfCircle);
  for (const OptionValues& kind :
       std::vector<OptionValues>{{{"hep.noise", "0.04"}},
                                 {{"hep.tolerance", "1e-3"}},
                                 {{"hep.weights", "separate"}, {"hep.correction", "true"}}}) {
    const NamedGradients alone = on(1, e, brief(4, kind));
    EXPECT_LT(EpExample::apart(on(2, e, brief(4, kind)), alone), 1e-11) << kind.begin()->first;
  }
}

TEST(HolomorphicRowBlocks, InFloatTheyAreThoseOfDoubleToRounding) {
  if (!test::test_device().is_cpu()) GTEST_SKIP() << "blocks are for the CPU";
  for (const OptionValues& kind : std::vector<OptionValues>{{}, {{"hep.weights", "separate"}}}) {
    EpExample e =
        random_example("mlp:20-40-35-30-3:sigmoid", {20}, "cross-entropy", 0.4, kRowsOfCircle);
    const NamedGradients exact = on(2, e, brief(4, kind));
    e.net.to(at::kCPU, at::kFloat);
    e.x = e.x.to(at::kFloat);
    NamedGradients rounded = on(2, e, brief(4, kind));
    for (auto& [name, value] : rounded) value = value.to(at::kDouble);
    EXPECT_LT(EpExample::apart(rounded, exact), 1e-4);
  }
}

}  // namespace
}  // namespace altprop::testing
