// The arithmetic of a training step, counted while it runs, against what the network's description
// says from shapes alone.
#include <gtest/gtest.h>

#include "altprop/network/describe.h"
#include "altprop/train/experiment.h"

namespace altprop {
namespace {

constexpr int64_t kBatch = 8;

RunSettings settings(const std::string& rule, const std::string& net) {
  RunSettings s;
  s.rule = rule;
  s.net = net;
  s.data_options = {{"glyphs.train", "20"}, {"glyphs.test", "0"}};  // batches of 8, 8 and 4
  s.batch = kBatch;
  s.epochs = 1;
  s.probe_every = 0;
  return s;
}

double trained_flops(const std::string& rule, const std::string& net) {
  Experiment e(settings(rule, net));
  EXPECT_FALSE(e.trainer().step_cost().flops()) << "nothing has run yet";
  e.trainer().run();
  return e.trainer().step_cost().flops().value_or(-1);
}

TEST(StepFlops, OfBackpropAreThoseOfTheDescription) {
  for (const char* net : {"mlp:784-50-20-10:relu", "lenet-mnist"}) {
    Experiment e(settings("backprop", net));
    const double expected = static_cast<double>(kBatch * describe(e.net()).training_flops);
    EXPECT_EQ(trained_flops("backprop", net), expected) << net;
  }
}

TEST(StepFlops, FollowTheRule) {
  const std::string net = "mlp:784-50-20-10:relu";
  const double backprop = trained_flops("backprop", net);
  EXPECT_EQ(trained_flops("feedback-alignment", net), backprop);
  EXPECT_GT(trained_flops("weight-mirror", net), backprop) << "the mirror's products are missing";
  const double forward = 2.0 * kBatch * (784 * 50 + 50 * 20 + 20 * 10);
  EXPECT_EQ(trained_flops("last-layer-only", net), forward + 2.0 * kBatch * 20 * 10);
}

TEST(StepFlops, AreKnownToAResumedRunThatHasNoStepLeft) {
  Experiment first(settings("backprop", "mlp:784-5-10")), second(first.settings());
  first.trainer().run();
  TensorMap map;
  first.trainer().state(StateIO::saving(map));
  second.trainer().state(StateIO::loading(map));
  ASSERT_TRUE(second.trainer().step_cost().flops());
  EXPECT_EQ(*second.trainer().step_cost().flops(), *first.trainer().step_cost().flops());
}

}  // namespace
}  // namespace altprop
