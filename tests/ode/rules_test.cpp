// Learning rules inside of ODE blocks: an Euler block of one step is a residual block, gradient
// methods agree under every kind of feedback.
#include <ATen/core/grad_mode.h>

#include "altprop/base/error.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/probes/gradient_check.h"
#include "ode/fields.h"
#include "rules/pathways.h"

namespace altprop::ode {
namespace {

using pathways::Batch;
using testing::net_around;
using testing::timed_mlp;
using NamedGradients = altprop::testing::NamedGradients;

using pathways::RuleInside;

std::shared_ptr<Graph> autonomous() {
  auto f = std::make_shared<Graph>();
  const int z = f->input({{6}});
  f->output(f->add(linear(6), {f->add(activation("tanh"), {f->add(linear(8), {z}, "a")})}, "b"));
  return f;
}

Graph residual(at::ScalarType type) {
  Graph net;
  const int x = net.add(linear(6), {net.input({{9}})}, "stem");
  const int step = net.add(autonomous(), {x}, "ode");
  net.output(net.add(linear(5), {net.add(add(2), {x, step}, "sum")}, "out"));
  net.to(at::kCPU, type);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  return net;
}

class OdeWithin : public ::testing::TestWithParam<RuleInside> {};

TEST_P(OdeWithin, OneEulerStepIsAResidualBlockBitForBit) {
  at::NoGradGuard no_grad;
  const auto& [name, rule, options] = GetParam();
  const auto loss = make_loss("cross-entropy");
  for (const at::ScalarType type : {at::kDouble, at::kFloat})
    for (const Gradient gradient : testing::kExact) {
      Graph net = net_around(autonomous(), {.solver = "euler", .sizes = {.steps = 1}}, type),
            plain = residual(type);
      set_gradient(net, gradient);
      const Batch batch(net);
      const OptimizerSettings settings{.kind = "momentum", .lr = 0.05, .weight_decay = 0.01};
      altprop::testing::TestRun a(net, *loss, make_rule(rule, options), settings),
          b(plain, *loss, make_rule(rule, options), settings);
      for (int i = 0; i < 3; ++i) {
        a.step(batch.x, batch.y);
        b.step(batch.x, batch.y);
      }
      for (size_t i = 0; i < net.params().size(); ++i)
        EXPECT_TRUE(at::equal(net.params()[i]->value, plain.params()[i]->value))
            << net.params()[i]->name << ' ' << gradient_names()[static_cast<size_t>(gradient)];
    }
}

TEST_P(OdeWithin, GradientMethodsAgree) {
  at::NoGradGuard no_grad;
  const auto& [name, rule, options] = GetParam();
  const auto loss = make_loss("cross-entropy");
  for (const Problem& problem :
       {Problem{.solver = "rk38", .sizes = {.steps = 3}}, Problem{.solver = "dopri5"},
        Problem{.solver = "bosh3", .sizes = {.per_sample = true}}}) {
    std::vector<NamedGradients> found;
    const Spec time = problem.sizes.per_sample ? sample_time_spec() : time_spec();
    for (const Gradient gradient : testing::kExact) {
      Graph net = net_around(timed_mlp(6, 5, time), problem);
      set_gradient(net, gradient);
      const Batch batch(net);
      const auto learner = make_rule(rule, options);
      learner->prepare_for({.kind = "sgd", .lr = 0.1});
      learner->admit(net, *loss);
      learner->bind(net, *loss, 1);
      found.push_back(altprop::testing::gradients(*learner, net, *loss, batch.x, batch.y));
    }
    for (size_t i = 1; i < found.size(); ++i) pathways::expect_same(found[i], found[0], 1e-14);
    if (rule != "last-layer-only") {
      EXPECT_GT(found[0].at("ode.a.weight").norm().item<double>(), 1e-4);
    }
  }
}

/// With steps of their own the gradient of a batch is the mean of those of its samples.
TEST(OdeRules, TheBatchLearnsWhatEachSampleAloneDoes) {
  at::NoGradGuard no_grad;
  const auto loss = make_loss("cross-entropy");
  for (const char* rule :
       {"backprop", "feedback-alignment", "uniform-sign", "product-feedback-alignment"}) {
    SCOPED_TRACE(rule);
    Graph net = net_around(timed_mlp(6, 5, sample_time_spec()),
                           {.sizes = {.rtol = 1e-5, .per_sample = true}});
    const Batch batch(net);
    const auto learner = make_rule(rule);
    learner->bind(net, *loss, 1);
    const auto found = altprop::testing::gradients(*learner, net, *loss, batch.x, batch.y);
    NamedGradients mean;
    const int64_t rows = batch.x.size(0);
    for (int64_t b = 0; b < rows; ++b)
      for (const auto& [name, value] : altprop::testing::gradients(
               *learner, net, *loss, batch.x.narrow(0, b, 1), batch.y.narrow(0, b, 1))) {
        const Tensor part = value / static_cast<double>(rows);
        mean[name] = mean.count(name) ? mean[name] + part : part;
      }
    pathways::expect_same(found, mean, 1e-12);
    EXPECT_GT(mean.at("ode.a.weight").norm().item<double>(), 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(OdeRules, OdeWithin, ::testing::ValuesIn(pathways::rules_for_blocks()),
                         [](const auto& info) { return info.param.name; });

/// Backprop through the continuous adjoint is compared with the exact gradient, not with itself.
TEST(OdeRules, ChecksShowHowWrongTheContinuousAdjointIs) {
  at::NoGradGuard no_grad;
  Graph net = net_around(timed_mlp(6), {.solver = "midpoint", .sizes = {.steps = 4}});
  const auto loss = make_loss("cross-entropy");
  const Batch batch(net);
  const auto rule = make_rule("backprop");
  rule->bind(net, *loss, 1);
  const Step step = Step::look_at({.inputs = batch.x}, batch.y);
  for (const std::string& name : gradient_names()) {
    if (name == "mali") continue;  // for a solver of its own (leapfrog_test.cpp)
    set_gradient(net, gradient_of(name));
    double worst = 0;
    for (const GradientRow& row : compare_gradients(dynamic_cast<Rule&>(*rule), step))
      worst = std::max(worst, row.s.relative_error);
    if (name == "adjoint") {
      EXPECT_GT(worst, 1e-6);
      EXPECT_LT(worst, 1e-1);
    } else {
      EXPECT_LT(worst, 1e-13) << name;
    }
  }
}

TEST(OdeRules, FeedbackAlignmentIsNotBackpropInside) {
  at::NoGradGuard no_grad;
  const auto loss = make_loss("cross-entropy");
  std::vector<NamedGradients> found;
  for (const char* rule : {"backprop", "feedback-alignment"}) {
    Graph net = net_around(timed_mlp(6), {.sizes = {.steps = 3}});
    const Batch batch(net);
    const auto learner = make_rule(rule);
    learner->bind(net, *loss, 1);
    found.push_back(altprop::testing::gradients(*learner, net, *loss, batch.x, batch.y));
  }
  const auto angle =
      altprop::testing::cosine(found[0].at("ode.a.weight"), found[1].at("ode.a.weight"));
  EXPECT_LT(angle, 0.9);
}

TEST(OdeRules, EveryRuleTrainsTheBlockOrRefusesItByName) {
  at::NoGradGuard no_grad;
  int trained = 0, refused = 0;
  for (const RuleEntry& entry : rule_entries()) {
    SCOPED_TRACE(entry.name);
    Graph net = net_around(timed_mlp(6), {.solver = "rk4", .sizes = {.steps = 2}});
    const auto loss = make_loss(entry.example_loss);
    const std::string refusal = refusal_of(entry, net, *loss);
    if (!refusal.empty()) {
      ++refused;
      EXPECT_LT(refusal.size(), 700u);
      continue;
    }
    ++trained;
    const Batch batch(net);
    const Tensor before = net.params()[2]->value.clone();
    ASSERT_EQ(net.params()[2]->name.substr(0, 4), "ode.");
    altprop::testing::TestRun run(net, *loss, make_rule(entry.name), {.kind = "sgd", .lr = 0.1});
    const double first = run.step(batch.x, batch.y);
    double last = first;
    for (int i = 0; i < 30; ++i) last = run.step(batch.x, batch.y);
    EXPECT_LT(last, first);
    if (entry.name != "last-layer-only") {
      EXPECT_FALSE(at::equal(net.params()[2]->value, before));
    }
  }
  EXPECT_GE(trained, 9);
  EXPECT_GE(refused, 4);
}

TEST(OdeRules, RulesThatHoldStatesAndDirectFeedbackNameTheBlock) {
  Graph net = net_around(timed_mlp(6), {.sizes = {.steps = 2}});
  const auto loss = make_loss("cross-entropy");
  for (const char* name :
       {"activation-relaxation", "predictive-coding", "direct-feedback-alignment"}) {
    try {
      const auto rule = make_rule(name);
      rule->admit(net, *loss);
      rule->bind(net, *loss, 1);
      FAIL() << name;
    } catch (const Refusal& refusal) {
      EXPECT_NE(std::string(refusal.what()).find("'ode'"), std::string::npos) << refusal.what();
    }
  }
}

TEST(OdeRules, WeightsThatChangeWhileCreditTravelsAreRefused) {
  at::NoGradGuard no_grad;
  Graph net = net_around(timed_mlp(6), {.sizes = {.steps = 2}});
  const Batch batch(net);
  Activity activity;
  net.run(batch.x, activity, {Mode::Train});
  Gradients sink;
  Feedback exact;
  EXPECT_THROW(net.sweep(activity, {{net.output_node(), pathways::random({7, 5})}}, exact, &sink,
                         {.order = SweepOrder::SignalFirst}),
               Refusal);
}

TEST(OdeRules, WhatTheBlockIsToThoseWhoDoNotKnowIt) {
  const Graph many = net_around(timed_mlp(6), {.sizes = {.steps = 2}}),
              one = net_around(timed_mlp(6), {.solver = "euler", .sizes = {.steps = 1}}),
              adaptive = net_around(timed_mlp(6), {});
  EXPECT_TRUE(many.traits().reuses);
  EXPECT_FALSE(one.traits().reuses);
  EXPECT_TRUE(adaptive.traits().reuses);
  EXPECT_FALSE(many.traits().couples_samples);
  EXPECT_TRUE(adaptive.traits().couples_samples);
  EXPECT_TRUE(many.has_composites());
  EXPECT_EQ(set_gradient(many, Gradient::Aca), 1);
}

/// A dropped unit is dropped in all evaluations of a pass, and in those of the reverse pass.
class OdeDropout : public ::testing::TestWithParam<bool> {};

TEST_P(OdeDropout, IsOneMaskForThePass) {
  at::NoGradGuard no_grad;
  std::vector<NamedGradients> found;
  const auto loss = make_loss("cross-entropy");
  const Problem problem = GetParam() ? Problem{.sizes = {.rtol = 1e-5, .per_sample = true}}
                                     : Problem{.sizes = {.steps = 3}};
  for (const Gradient gradient : testing::kExact) {
    auto f = std::make_shared<Graph>();
    int h = f->add(linear(8), {f->input({{6}}, "z")}, "a");
    h = f->add(dropout(0.5), {f->add(activation("tanh"), {h})}, "drop");
    f->output(f->add(linear(6), {h}, "b"));
    Graph net = net_around(f, problem);
    set_gradient(net, gradient);
    const Batch batch(net);
    const auto learner = make_rule("backprop");
    learner->bind(net, *loss, 1);
    found.push_back(altprop::testing::gradients(*learner, net, *loss, batch.x, batch.y));
  }
  for (size_t i = 1; i < found.size(); ++i) pathways::expect_same(found[i], found[0], 1e-14);
}

INSTANTIATE_TEST_SUITE_P(OdeRules, OdeDropout, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "OfEach" : "OfTheBatch"; });

/// What a sample draws goes by its number, also where others leave the batch before it.
TEST(OdeRules, DropoutGoesBySampleNumbers) {
  at::NoGradGuard no_grad;
  auto f = std::make_shared<Graph>();
  const int h = f->add(dropout(0.5), {f->input({{6}}, "z")}, "drop");
  f->output(f->add(linear(6), {f->add(activation("tanh"), {h})}, "b"));
  Graph net;
  net.output(
      net.add(block(f, {.sizes = {.rtol = 1e-5, .per_sample = true}}), {net.input({{6}})}, "ode"));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("normal:2"), Stream(1).at("init"));
  const Tensor x = pathways::random({4, 6}), ids = at::tensor({17, 3, 99, 4}, at::kLong);
  const auto run = [&](const Tensor& rows, const Tensor& numbers, int64_t first_row) {
    Activity activity;
    return net.run(
        rows, activity,
        {.mode = Mode::Train, .draws = Stream(5), .ids = numbers, .first_row = first_row});
  };
  const Tensor numbered = run(x, ids, 0), placed = run(x, {}, 0);
  EXPECT_GT((numbered - placed).abs().max().item<double>(), 1e-3);
  for (int64_t b = 0; b < 4; ++b) {
    EXPECT_LE(pathways::distance(run(x.narrow(0, b, 1), ids.narrow(0, b, 1), 0)[0], numbered[b]),
              1e-12);
    EXPECT_LE(pathways::distance(run(x.narrow(0, b, 1), {}, b)[0], placed[b]), 1e-12);
  }
}

TEST(OdeRules, StatisticsOfTheBatchInsideAreRefused) {
  auto f = std::make_shared<Graph>();
  f->output(f->add(batch_norm(), {f->input({{6}}, "z")}));
  try {
    net_around(f, {});
    FAIL();
  } catch (const Refusal& refusal) {
    EXPECT_NE(std::string(refusal.what()).find("layer-norm"), std::string::npos) << refusal.what();
  }
}

TEST(OdeRules, FunctionsThatGiveOtherValuesThenAreRefused) {
  at::NoGradGuard no_grad;
  const auto said = [](const AutogradOp::Function& function, Mode mode) {
    auto f = std::make_shared<Graph>();
    f->output(f->add(autograd_op("own", function), {f->input({{3}}, "z")}, "own"));
    const Block block(f, {.solver = "rk4", .sizes = {.steps = 2}});
    Saved saved;
    try {
      block.forward(std::vector<Tensor>{pathways::random({4, 3})}, saved, {mode});
    } catch (const Refusal& refusal) {
      return std::string(refusal.what());
    }
    return std::string();
  };
  const auto drifts = [calls = std::make_shared<int>(0)](auto x) { return x[0] * ++*calls; };
  const std::string refusal = said(drifts, Mode::Train);
  for (const char* part : {"other values when it is evaluated again", "leave random numbers"})
    EXPECT_NE(refusal.find(part), std::string::npos) << refusal;
  EXPECT_EQ(said(drifts, Mode::Eval), "") << "nobody evaluates it again";
  EXPECT_EQ(said([](auto x) { return at::tanh(x[0]); }, Mode::Train), "");
  // What it draws from ATen's generator is drawn again as it was.
  EXPECT_EQ(said([](auto x) { return at::dropout(x[0], 0.5, true); }, Mode::Train), "");
}

}  // namespace
}  // namespace altprop::ode
