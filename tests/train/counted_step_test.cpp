// The first step of a run is counted (probes/kernels.h), and so is the first one after a resume. It
// must be a step like any other, to the last bit, also where kernels take many steps at once and
// threads take rows of the batch.
#include <gtest/gtest.h>

#include "altprop/train/experiment.h"
#include "altprop/train/interrupt.h"
#include "support/device.h"
#include "support/rule_case.h"

namespace altprop {
namespace {

using test::RuleCase;

const std::vector<RuleCase> kCountedCases = {
    {"loop_of_activation_relaxation",
     "activation-relaxation",
     {{"ar.engine", "loop"}, {"ar.steps", "20"}},
     "mlp:784-40-30-10:relu",
     "squared-error"},
    {"values_of_a_chain",
     "predictive-coding",
     {{"pc.mode", "strict"}, {"pc.steps", "12"}, {"pc.eta", "0.1"}},
     "mlp:784-40-30-10:relu",
     "squared-error"},
    {"values_by_rows",
     "predictive-coding",
     {{"pc.mode", "strict"}, {"pc.steps", "12"}, {"pc.eta", "0.1"}},
     "mlp:784-40-30-10:tanh",
     "cross-entropy"},
    {"pair", "equilibrium-propagation", {}, "mlp:784-60-10:hard-sigmoid", "squared-error"},
    {"three_layers",
     "equilibrium-propagation",
     {},
     "mlp:784-40-30-10:hard-sigmoid",
     "squared-error"},
    {"corinfomax", "corinfomax", {}, "mlp:784-60-10:hard-sigmoid:bias=false", "squared-error"}};

struct StopAfterFirst : Observer {
  void on_step(const Trainer&) override { interrupt::request(); }
};

class CountedStep : public ::testing::TestWithParam<RuleCase> {};

TEST_P(CountedStep, IsAStepLikeAnyOther) {
  const RuleCase& c = GetParam();
  RunSettings s;
  s.rule = c.rule;
  s.rule_options = c.options;
  s.net = c.net;
  s.loss = c.loss;
  s.data_options = {{"glyphs.train", "192"}, {"glyphs.test", "0"}};
  s.batch = 64;
  s.epochs = 1;
  s.threads = 2;
  s.probe_every = 0;
  s.optimizer.lr = 0.05;
  s.device = test::test_device().str();
  s.max_steps = 2;
  Experiment whole(s);
  whole.trainer().run();
  EXPECT_GT(whole.trainer().step_cost().flops().value_or(0), 0);
  Experiment first(s), second(s);
  StopAfterFirst stop;
  first.trainer().observe(stop);
  EXPECT_EQ(first.trainer().run(), "interrupted");
  interrupt::request(false);
  TensorMap map;
  first.trainer().state(StateIO::saving(map));
  second.trainer().state(StateIO::loading(map));
  second.trainer().run();
  EXPECT_EQ(second.trainer().position().step, 2);
  const auto expected = whole.net().params(), found = second.net().params();
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(at::equal(expected[i]->value, found[i]->value)) << expected[i]->name;
}

INSTANTIATE_TEST_SUITE_P(Rules, CountedStep, ::testing::ValuesIn(kCountedCases),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace altprop
