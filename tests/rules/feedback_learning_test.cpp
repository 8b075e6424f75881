// Do the feedback rules learn? Small runs of seconds, with the bounds that published results and
// plain scripts give.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "rules/teacher.h"

namespace altprop {
namespace {

const std::vector<std::string> kRules = {
    "backprop",     "feedback-alignment", "direct-feedback-alignment",
    "uniform-sign", "fixed-random-sign",  "batchwise-random-sign"};

TEST(FeedbackLearning, FitsSixtyFourSamples) {
  const Tensor x = Stream(5).at("x").normal({64, 20}, at::kDouble);
  const Tensor t = Stream(5).at("t").normal({64, 5}, at::kDouble).tanh();
  const auto loss = make_loss("squared-error");
  for (const std::string& name : kRules) {
    Graph net = testing::mlp({20, 32, 32, 5}, "tanh", 1, at::kDouble);
    testing::TestRun run(net, *loss, make_rule(name), {.lr = 0.1, .momentum = 0.9});
    const double before = run.step(x, t);
    double after = before;
    for (int step = 1; step <= 300; ++step) after = run.step(x, t);
    EXPECT_LT(after / before, 0.02) << name;
    std::printf("  %-26s loss falls to %.1e of its start\n", name.c_str(), after / before);
  }
}

TEST(FeedbackLearning, OneSmallStepLowersTheLoss) {
  const auto loss = make_loss("cross-entropy");
  for (const std::string& name : kRules) {
    Graph net = testing::mlp({20, 32, 5}, "tanh", 1, at::kDouble);
    const Tensor x = Stream(5).at("x").normal({64, 20}, at::kDouble),
                 y = x.narrow(1, 0, 5).argmax(1);
    testing::TestRun run(net, *loss, make_rule(name), {.kind = "sgd", .lr = 0.01});
    const double before = run.step(x, y);
    EXPECT_LT(run.step(x, y), before) << name;
  }
}

/// Test accuracies after 8 epochs on labels made by a random network; the mean of two seeds.
TEST(FeedbackLearning, TeacherTaskKeepsTheOrderOfRules) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);  // products this small only wait for each other
  std::map<std::string, double> accuracy;
  std::vector<std::string> names = kRules;
  names.push_back("last-layer-only");
  for (uint64_t seed : test::two_seeds()) {
    const testing::Teacher teacher(seed);
    for (const std::string& name : names) accuracy[name] += teacher.accuracy_of(name, {}, seed) / 2;
  }
  at::set_num_threads(threads);
  for (const std::string& name : names)
    std::printf("  %-26s %.1f %%\n", name.c_str(), accuracy[name]);
  // These two seeds, AVX2: uniform-sign 0.4 above backprop, the random signs 0.5 below, feedback
  // alignment 7.5, direct 4.3. Single seeds (five): 0.3 to 1.8 above, 0.5 to 9.0 and 3.0 to 13.8
  // below; other kernels move one seed by 1 (backprop) to 3 (direct). A rule that transports
  // weights after all gives backprop's own figure, one that trains no hidden layer the last's.
  const double backprop = accuracy["backprop"], last = accuracy["last-layer-only"];
  for (const std::string name : {"uniform-sign", "fixed-random-sign", "batchwise-random-sign"})
    test::expect_learnt_at_least(name + " above backprop", accuracy[name] - backprop, -4);
  for (const std::string name : {"feedback-alignment", "direct-feedback-alignment"}) {
    test::expect_learnt_at_least(name + " above the last layer", accuracy[name] - last, 10);
    test::expect_learnt_at_most(name + " above backprop", accuracy[name] - backprop, -1);
  }
}

}  // namespace
}  // namespace altprop
