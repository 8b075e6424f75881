// Forward and credit apart: the two halves of a step, for networks that are a part of something
// larger. What comes out is what a step makes; inputs get credit, and no feedback is exact in
// silence.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "rules/pathways.h"
#include "rules/teacher.h"

namespace altprop::forward_credit {
namespace {

using testing::cosine;
using testing::mlp;

/// A bound rule with a batch.
struct Bench {
  Graph net;
  std::unique_ptr<Loss> loss;
  std::unique_ptr<Learner> learner;
  Tensor x = Stream(2).at("x").normal({6, 5}, test::on_device(at::kDouble)), y;

  explicit Bench(const std::string& rule, const OptionValues& options = {}, bool inputs = false,
                 const std::string& loss_name = "cross-entropy", const std::string& f = "tanh",
                 uint64_t seed = 1)
      : net(mlp({5, 7, 6, 4}, f, 1, at::kDouble)),
        loss(make_loss(loss_name)),
        learner(make_rule(rule, options)),
        y(at::tensor({0, 1, 2, 3, 0, 1}, test::on_device(at::kLong))) {
    if (inputs) self().set_input_credit(true);
    learner->bind(net, *loss, seed);
  }
  Rule& self() { return dynamic_cast<Rule&>(*learner); }
  Look look() const { return {.inputs = x, .draws = Stream(3)}; }
  Objective objective() const { return {*loss, y, 6}; }
  /// As a loss outside would make it: of the batch-summed loss, divided once.
  Objective cotangent(const Tensor& output) const {
    return Objective::cotangent(loss->gradient(output, y), 6);
  }
  std::vector<Tensor> assigned() {
    Gradients sink;
    Step step = Step::look_at(look(), y);
    self().assign(step, sink);
    return sink.of_params(net.params());
  }
};

constexpr char kWanted[] = {1};

double apart(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst,
                     (a[i] - b[i]).norm().item<double>() / (1e-300 + b[i].norm().item<double>()));
  return worst;
}

using RuleWith = std::pair<std::string, OptionValues>;

/// All rules that do not need the loss, and settings of some of them.
std::vector<RuleWith> take_cotangents() {
  std::vector<RuleWith> out = {{"direct-feedback-alignment", {{"dfa.place", "activation"}}},
                               {"activation-relaxation", {{"ar.feedback", "fixed"}}}};
  for (const RuleEntry& entry : rule_entries()) {
    const std::unique_ptr<Learner> learner = entry.make();
    if (dynamic_cast<Rule*>(learner.get()) && !learner->needs_loss())
      out.push_back({entry.name, {}});
  }
  EXPECT_GE(out.size(), 12u);
  return out;
}

void expect_equal_gradients(const std::vector<Tensor>& found, const std::vector<Tensor>& wanted) {
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].defined(), wanted[i].defined());
    if (found[i].defined()) {
      EXPECT_TRUE(at::equal(found[i], wanted[i]));
    }
  }
}

TEST(ForwardCredit, ACotangentDoesWhatItsLossDoes) {
  at::NoGradGuard no_grad;
  for (const auto& [rule, options] : take_cotangents()) {
    SCOPED_TRACE(rule);
    Bench bench(rule, options);
    const std::vector<Tensor> whole = bench.assigned();
    const TracePtr trace = bench.self().forward(bench.look());
    EXPECT_EQ(trace->output.sizes(), IntArrayRef({6, 4}));
    Gradients sink;
    EXPECT_TRUE(bench.self().credit(*trace, bench.cotangent(trace->output), sink).empty());
    expect_equal_gradients(sink.of_params(bench.net.params()), whole);
  }
}

TEST(ForwardCredit, RulesThatNeedTheLossRefuseCotangentsByName) {
  at::NoGradGuard no_grad;
  const std::vector<std::tuple<std::string, OptionValues, std::string, std::string>> all = {
      {"predictive-coding", {{"pc.mode", "strict"}}, "cross-entropy", "tanh"},
      {"equilibrium-propagation", {}, "squared-error", "hard-sigmoid"},
      {"equilibrium-propagation", {{"ep.estimator", "implicit"}}, "squared-error", "tanh"},
      {"holomorphic-ep", {}, "cross-entropy", "dsilu"},
      {"direct-feedback-alignment", {{"dfa.error", "target"}}, "cross-entropy", "tanh"}};
  for (const auto& [rule, options, loss, f] : all) {
    SCOPED_TRACE(rule);
    Bench bench(rule, options, false, loss, f);
    const TracePtr trace = bench.self().forward(bench.look());
    Gradients sink;
    EXPECT_THROW(bench.self().credit(*trace, bench.cotangent(trace->output), sink), Refusal);
    EXPECT_TRUE(sink.all().empty());
    // The loss itself is taken, by the same pass: what refuses has used nothing up.
    EXPECT_NO_THROW(bench.self().credit(*trace, bench.objective(), sink));
    EXPECT_FALSE(sink.all().empty());
    Graph other = mlp({5, 7, 6, 4}, f, 1, at::kDouble);
    auto without = make_rule(rule, options);
    EXPECT_THROW(without->bind(other, no_loss(), 1), Refusal);
  }
}

TEST(ForwardCredit, WithoutALossCotangentsAreEnough) {
  at::NoGradGuard no_grad;
  for (const auto& [rule, options] : take_cotangents()) {
    SCOPED_TRACE(rule);
    Bench with(rule, options);
    const std::vector<Tensor> whole = with.assigned();
    Graph net = mlp({5, 7, 6, 4}, "tanh", 1, at::kDouble);
    auto learner = make_rule(rule, options);
    learner->bind(net, no_loss(), 1);
    Rule& self = dynamic_cast<Rule&>(*learner);
    const TracePtr trace = self.forward(with.look());
    Gradients sink;
    self.credit(*trace, with.cotangent(trace->output), sink);
    expect_equal_gradients(sink.of_params(net.params()), whole);
  }
}

TEST(ForwardCredit, APassIsCreditedOnceAndALaterOneIsNotMixedUp) {
  at::NoGradGuard no_grad;
  for (const auto& [rule, options] : take_cotangents()) {
    SCOPED_TRACE(rule);
    Bench bench(rule, options);
    const std::vector<Tensor> whole = bench.assigned();
    const TracePtr first = bench.self().forward(bench.look());
    Look moved = bench.look();
    moved.inputs = moved.inputs * 2;
    const TracePtr second = bench.self().forward(moved);
    Gradients sink;
    bool kept = true;
    try {
      bench.self().credit(*first, bench.objective(), sink);
    } catch (const Error&) {  // refused: the states are those of the second pass
      kept = false;
    }
    if (kept) expect_equal_gradients(sink.of_params(bench.net.params()), whole);
    const bool relaxes = rule == "activation-relaxation" || rule == "predictive-coding";
    EXPECT_EQ(kept, !relaxes);
    Gradients later;
    bench.self().credit(*second, bench.objective(), later);
    EXPECT_THROW(bench.self().credit(*second, bench.objective(), later), Error) << "twice";
    Bench other(rule, options);
    const TracePtr foreign = other.self().forward(other.look());
    EXPECT_THROW(bench.self().credit(*foreign, bench.objective(), later), Error) << "of another";
  }
}

TEST(ForwardCredit, ExactRulesGiveTheirInputsTheExactCredit) {
  at::NoGradGuard no_grad;
  const std::vector<std::pair<std::string, OptionValues>> exact = {
      {"backprop", {}},
      {"activation-relaxation", {{"ar.eta", "1"}, {"ar.steps", "3"}}},
      {"activation-relaxation",
       {{"ar.eta", "1"},
        {"ar.steps", "3"},
        {"ar.derivative-in-plasticity", "true"},
        {"ar.granularity", "op"},
        {"ar.engine", "loop"},
        {"ar.schedule", "gauss-seidel"}}},
      {"predictive-coding", {{"pc.mode", "exact"}}},
      {"predictive-coding",
       {{"pc.mode", "strict"}, {"pc.beta", "1e-5"}, {"pc.eta", "0.1"}, {"pc.steps", "600"}}}};
  for (const auto& [rule, options] : exact) {
    SCOPED_TRACE(rule);
    Bench bench(rule, options, true);
    const TracePtr trace = bench.self().forward(bench.look());
    Gradients sink;
    const Credits to_inputs = bench.self().credit(*trace, bench.objective(), sink, kWanted);
    ASSERT_EQ(to_inputs.size(), 1u);
    // By differences along a direction of each sample.
    const Tensor v = Stream(5).normal({6, 5}, test::on_device(at::kDouble));
    const double h = 1e-6;
    const Tensor slope = (bench.loss->value(bench.net.predict(bench.x + h * v), bench.y) -
                          bench.loss->value(bench.net.predict(bench.x - h * v), bench.y)) /
                         (2 * h);
    EXPECT_LT(((to_inputs[0] * v).sum(1) - slope).abs().max().item<double>(), 1e-4);
  }
}

TEST(ForwardCredit, FeedbackRulesDrawFeedbackForTheFirstLayerToo) {
  at::NoGradGuard no_grad;
  std::vector<RuleWith> all = {
      {"activation-relaxation", {{"ar.feedback", "fixed"}, {"ar.eta", "1"}, {"ar.steps", "3"}}}};
  for (const RuleWith& one : take_cotangents())
    if (one.second.empty() && Bench(one.first).learner->feedback().size() == 2)
      all.push_back(one);  // a matrix for each layer that credit crosses; others have own tests
  EXPECT_GE(all.size(), 7u);
  for (const auto& [rule, options] : all) {
    SCOPED_TRACE(rule);
    Bench plain(rule, options), bench(rule, options, true);
    const auto facts = bench.learner->feedback(), before = plain.learner->feedback();
    ASSERT_EQ(facts.size(), 3u);
    ASSERT_EQ(before.size(), 2u);
    EXPECT_EQ(facts[0].name, "fc1");
    for (size_t i = 0; i < 2; ++i)
      EXPECT_TRUE(at::equal(facts[i + 1].feedback, before[i].feedback))
          << "the other layers draw what they draw without";
    EXPECT_FALSE(at::equal(facts[0].feedback, facts[0].weight));
    const TracePtr trace = bench.self().forward(bench.look());
    struct FirstCredit : Gradients {
      using Gradients::take;
      Tensor cot;
      void take(const LocalSignal& signal) override {
        if (signal.site->name() == "fc1" && !signal.stand_in) cot = signal.cot.clone();
        Gradients::take(signal);
      }
    } sink;
    const Credits to_inputs = bench.self().credit(*trace, bench.objective(), sink, kWanted);
    EXPECT_LT(testing::cosine(to_inputs[0].flatten(), sink.cot.mm(facts[0].weight).flatten()), 0.99)
        << "exact after all";
    EXPECT_LT((to_inputs[0] - sink.cot.mm(facts[0].feedback)).abs().max().item<double>(), 1e-12);
    const std::vector<Tensor> found = sink.of_params(bench.net.params());
    EXPECT_LT(apart(found, plain.assigned()), 1e-14) << "and no gradient changes";
  }
}

TEST(ForwardCredit, DirectFeedbackProjectsTheErrorToTheInputs) {
  at::NoGradGuard no_grad;
  for (const char* place : {"weight-input", "activation"}) {
    SCOPED_TRACE(place);
    const OptionValues options{{"dfa.place", place}};
    Bench plain("direct-feedback-alignment", options),
        bench("direct-feedback-alignment", options, true);
    const TracePtr trace = bench.self().forward(bench.look());
    const Tensor error = bench.loss->gradient(trace->output, bench.y);
    Gradients sink;
    const Credits to_inputs = bench.self().credit(*trace, bench.objective(), sink, kWanted);
    ASSERT_TRUE(to_inputs[0].defined());
    // A linear map of the error and of nothing else: rank 4 at most, and solvable for D.
    const Tensor d = at::linalg_pinv(error).mm(to_inputs[0]);
    EXPECT_LT((error.mm(d) - to_inputs[0]).abs().max().item<double>(), 1e-10);
    EXPECT_GT(d.norm().item<double>(), 0.1);
    EXPECT_LT(apart(sink.of_params(bench.net.params()), plain.assigned()), 1e-14);
  }
}

TEST(ForwardCredit, InputCreditHasToBeAnnounced) {
  at::NoGradGuard no_grad;
  Bench bench("feedback-alignment");
  const TracePtr trace = bench.self().forward(bench.look());
  Gradients sink;
  EXPECT_THROW(bench.self().credit(*trace, bench.objective(), sink, kWanted), Error);
  Bench announced("feedback-alignment", {}, true);
  const TracePtr again = announced.self().forward(announced.look());
  const char two[] = {1, 1};
  EXPECT_THROW(announced.self().credit(*again, announced.objective(), sink, two), Error);
  for (const char* rule : {"equilibrium-propagation", "holomorphic-ep", "corinfomax"}) {
    auto learner = make_rule(rule);
    EXPECT_THROW(dynamic_cast<Rule&>(*learner).set_input_credit(true), Refusal) << rule;
  }
}

TEST(ForwardCredit, APartOfABatchIsScaledByTheWholeAndInputsKeepTheirRows) {
  at::NoGradGuard no_grad;
  for (const auto& [rule, options] : take_cotangents()) {
    SCOPED_TRACE(rule);
    Bench bench(rule, options);
    const std::vector<Tensor> whole = bench.assigned();
    Gradients sum;
    for (const int64_t first : {0, 4}) {
      const int64_t count = first == 0 ? 4 : 2;
      const Look part = bench.look().part(first, count);
      EXPECT_EQ(part.batch(), 6);
      EXPECT_EQ(part.first_row, first);
      Step step = Step::look_at(part, bench.y.narrow(0, first, count));
      bench.self().assign(step, sum);
    }
    const std::vector<Tensor> found = sum.of_params(bench.net.params());
    for (size_t i = 0; i < found.size(); ++i)
      if (found[i].defined()) {
        EXPECT_LT((found[i] - whole[i]).norm().item<double>(), 1e-13);
      }
  }
}

TEST(ForwardCredit, WhatIsNotBoundSaysSo) {
  auto rule = make_rule("backprop");
  EXPECT_THROW(rule->net(), Error);
  EXPECT_THROW(rule->loss(), Error);
  EXPECT_THROW(dynamic_cast<Rule&>(*rule).forward({}), Error);
}

}  // namespace
}  // namespace altprop::forward_credit
