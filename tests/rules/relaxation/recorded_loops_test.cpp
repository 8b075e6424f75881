// The loops of relaxing rules on a device that records them once and repeats them: the gradients
// are those of the steps called one by one.
#include "altprop/network/architecture.h"
#include "altprop/tensor/own_kernels.h"
#include "altprop/tensor/recorded_steps.h"
#include "rules/relaxation/fixture.h"
#include "support/replaying_cpu.h"
#include "support/rule_case.h"
#include "support/threads.h"

namespace altprop::testing {
namespace {

using test::RuleCase;

/// Phases of few steps, all of which are taken.
OptionValues brief(const std::string& rule, OptionValues more = {}) {
  more[rule + ".free-steps"] = "40";
  more[rule + ".nudged-steps"] = "20";
  more[rule + ".tolerance"] = "0";
  return more;
}

const char* const kDense = "mlp:6-9-7-5:tanh";
const char* const kSquashed = "mlp:6-9-7-5:hard-sigmoid";

const std::vector<RuleCase> kRecordedCases = {
    {"activation_relaxation",
     "activation-relaxation",
     {{"ar.engine", "loop"}, {"ar.steps", "30"}},
     kDense,
     "cross-entropy"},
    {"gauss_seidel",
     "activation-relaxation",
     {{"ar.engine", "loop"},
      {"ar.steps", "30"},
      {"ar.schedule", "gauss-seidel"},
      {"ar.eta", "0.3"}},
     kDense,
     "cross-entropy"},
    {"fixed_predictions",
     "predictive-coding",
     {{"pc.mode", "fixed"},
      {"pc.engine", "loop"},
      {"pc.steps", "40"},
      {"pc.schedule", "red-black"}},
     kDense,
     "squared-error"},
    {"values",
     "predictive-coding",
     {{"pc.mode", "strict"}, {"pc.steps", "30"}},
     kDense,
     "cross-entropy"},
    {"values_red_black_with_momentum",
     "predictive-coding",
     {{"pc.mode", "strict"},
      {"pc.steps", "31"},
      {"pc.eta", "0.05"},
      {"pc.schedule", "red-black"},
      {"pc.momentum", "0.5"}},
     kDense,
     "squared-error"},
    {"values_by_heun",
     "predictive-coding",
     {{"pc.mode", "strict"}, {"pc.steps", "30"}, {"pc.integrator", "heun"}},
     kDense,
     "squared-error"},
    {"errors",
     "predictive-coding",
     {{"pc.mode", "epc"}, {"pc.steps", "30"}, {"pc.nudging", "centred"}, {"pc.beta", "0.3"}},
     kDense,
     "squared-error"},
    {"equilibrium_propagation", "equilibrium-propagation", brief("ep"), kSquashed, "squared-error"},
    {"equilibrium_propagation_alternating", "equilibrium-propagation",
     brief("ep", {{"ep.dynamics", "alternating"}}), kSquashed, "cross-entropy"},
    {"holomorphic_ep", "holomorphic-ep", brief("hep", {{"hep.points", "4"}}), "mlp:6-9-7-5:sigmoid",
     "cross-entropy"},
    {"damped_holomorphic_ep", "holomorphic-ep",
     brief("hep", {{"hep.points", "2"},
                   {"hep.damping", "0.5"},
                   {"hep.weights", "separate"},
                   {"hep.correction", "true"}}),
     "mlp:6-9-7-5:sigmoid", "cross-entropy"},
    {"corinfomax",
     "corinfomax",
     {{"cim.free-steps", "30"}, {"cim.nudged-steps", "20"}},
     "mlp:6-9-7-5:hard-sigmoid:bias=false",
     "squared-error"},
    {"sparse_corinfomax",
     "corinfomax",
     {{"cim.free-steps", "30"}, {"cim.nudged-steps", "20"}},
     "mlp:6-9-7-5:relu:bias=false",
     "squared-error"}};

const std::vector<RuleCase> kOnImages = {
    {"values",
     "predictive-coding",
     {{"pc.mode", "strict"}, {"pc.steps", "30"}, {"pc.eta", "0.05"}},
     "chain: conv 4 k=3, relu, maxpool 2, conv 6 k=3, relu, linear *",
     "cross-entropy"},
    {"fixed_predictions",
     "predictive-coding",
     {{"pc.mode", "fixed"}, {"pc.engine", "loop"}, {"pc.steps", "40"}, {"pc.eta", "0.3"}},
     "chain: conv 4 k=3, relu, maxpool 2, conv 6 k=3, relu, linear *",
     "cross-entropy"},
    {"holomorphic_ep", "holomorphic-ep", brief("hep", {{"hep.points", "4"}}),
     "chain: conv 4 k=3, dsilu, softmaxpool 2, conv 6 k=3, dsilu, linear *", "cross-entropy"},
    {"equilibrium_propagation", "equilibrium-propagation", brief("ep"),
     "chain: conv 4 k=3, hard-sigmoid, maxpool 2, conv 6 k=3, hard-sigmoid, linear *",
     "cross-entropy"}};

void expect_the_same(const RuleCase& c, const std::vector<int64_t>& shape) {
  if (!test::test_device().is_cpu()) GTEST_SKIP() << "the device records by itself";
  const test::Threads one(1);
  const KernelsOff as_elsewhere(OwnKernels::all());
  const auto loss = make_loss(c.loss);
  Graph net = network(c.net, {.input_shape = shape, .classes = 5});
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  std::vector<int64_t> rows = shape;
  rows.insert(rows.begin(), 7);
  const BatchOf batch = draw_batch(rows, 5);
  const auto found = [&] {
    auto learner = make_rule(c.rule, c.options);
    learner->bind(net, *loss, 1);
    gradients(*learner, net, *loss, batch.x, batch.y);  // a second batch meets used memory
    return gradients(*learner, net, *loss, batch.x, batch.y);
  };
  const auto called = found();
  const test::ReplayingCpu device;
  const auto repeated = found();
  EXPECT_EQ(RecordedSteps::take_notice(), "");
  EXPECT_GE(test::ReplayingCpu::recordings(), 2) << "one for each batch at least";
  for (const auto& [name, gradient] : called) {
    EXPECT_LT(distance(repeated.at(name), gradient), 1e-12) << name;
    EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
  }
}

class RecordedLoops : public ::testing::TestWithParam<RuleCase> {};
TEST_P(RecordedLoops, GiveWhatTheCallsGive) { expect_the_same(GetParam(), {6}); }
INSTANTIATE_TEST_SUITE_P(Dense, RecordedLoops, ::testing::ValuesIn(kRecordedCases),
                         [](const auto& info) { return info.param.name; });

class RecordedLoopsOnImages : public ::testing::TestWithParam<RuleCase> {};
TEST_P(RecordedLoopsOnImages, GiveWhatTheCallsGive) { expect_the_same(GetParam(), {2, 10, 10}); }
INSTANTIATE_TEST_SUITE_P(Convolutional, RecordedLoopsOnImages, ::testing::ValuesIn(kOnImages),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace altprop::testing
