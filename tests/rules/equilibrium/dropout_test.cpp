// Dropout: one mask per example of a mini-batch, the same in all phases, both ways and in the exact
// gradients; none in predictions.
#include <gtest/gtest.h>

#include "rules/equilibrium/fixture.h"
#include "rules/equilibrium/resumed.h"
#include "support/threads.h"

namespace altprop::testing {
namespace {

using Estimate = std::map<std::string, Tensor>;

/// What `gradients` draws from at a step.
Stream draws_of(int64_t index) { return Stream(1).at("step").at(index); }

bool same_bits(const Estimate& a, const Estimate& b) {
  for (const auto& [name, value] : b)
    if (!at::equal(a.at(name), value)) return false;
  return true;
}

void copy_weights(const Graph& from, Graph& to) {
  for (size_t i = 0; i < from.params().size(); ++i)
    to.params()[i]->value.copy_(from.params()[i]->value);
}

TEST(EquilibriumDropout, IsANetworkWithoutTheDroppedWeights) {
  // One example: what a dropped unit would send is a column of weights that are not there.
  for (const OptionValues& values :
       {OptionValues{}, OptionValues{{"ep.estimator", "one-sided"}},
        OptionValues{{"ep.estimator", "implicit"}}, OptionValues{{"ep.estimator", "bptt"}},
        OptionValues{{"ep.dynamics", "synchronous"}, {"ep.start", "forward"}}}) {
    EpExample masked = random_example("mlp:5-9-8-3:tanh:dropout=0.4", {5}, "cross-entropy", 0.5, 1);
    EpExample plain = random_example("mlp:5-9-8-3:tanh", {5}, "cross-entropy", 0.5, 1);
    Activity activity;
    masked.net.run(masked.x, activity, {Mode::Train, draws_of(2)});
    std::vector<Tensor> masks = {at::ones({1, 5}, at::kDouble)};  // nothing is dropped of the input
    for (const Node& node : masked.net.nodes())
      if (node.op && node.op->type() == "dropout")
        masks.push_back(activity.saved[static_cast<size_t>(node.id)].t[0]);
    ASSERT_EQ(masks.size(), 3u);
    for (size_t i = 1; i < 3; ++i) {
      const int64_t dropped = masks[i].eq(0).sum().item<int64_t>();
      EXPECT_GT(dropped, 0);
      EXPECT_LT(dropped, masks[i].numel());
      EXPECT_NEAR(masks[i].max().item<double>(), 1 / 0.6, 1e-6);
    }
    copy_weights(masked.net, plain.net);
    for (size_t l = 0; l < 3; ++l) plain.value(2 * l).mul_(masks[l]);
    const Estimate found = masked.own(values, 2), without = plain.own(values, 2);
    for (size_t l = 0; l < 3; ++l) {
      const std::string weight = plain.net.params()[2 * l]->name,
                        bias = plain.net.params()[2 * l + 1]->name;
      EXPECT_LT(distance(found.at(weight), without.at(weight) * masks[l]), 1e-11) << weight;
      EXPECT_LT(distance(found.at(bias), without.at(bias)), 1e-11) << bias;
    }
  }
}

TEST(EquilibriumDropout, SmallNudgesGiveTheReference) {
  for (const auto& [text, shape, loss, scale] : dropped()) {
    SCOPED_TRACE(text);
    EpExample e = random_example(text, shape, loss, scale);
    EXPECT_LT(e.error(with(kLong, {{"ep.beta", "0.001"}})), 2e-6);
    EXPECT_GT(EpExample::apart(e.own(kLong, 1), e.exact()), 0.05);  // another step's masks
    EXPECT_LT(
        e.error({{"ep.estimator", "bptt"}, {"ep.free-steps", "400"}, {"ep.nudged-steps", "100"}}),
        1e-9);
  }
}

/// The mean loss after a free phase under the masks of step 0.
double loss_after(ConvergentDynamics& dynamics, const EpExample& e, const StopWhen& stop) {
  const Stream draws = draws_of(0);
  dynamics.begin(e.x, &draws);
  dynamics.settle(stop);
  return e.loss->value(dynamics.output(), e.y).mean().item<double>();
}

TEST(EquilibriumDropout, ReferenceIsTheGradientOfTheLossAtRestUnderTheMasks) {
  for (const auto& [text, shape, loss, scale] : dropped())
    for (const bool separate : {false, true}) {
      SCOPED_TRACE(text);
      EpExample e = random_example(text, shape, loss, scale);
      InMotion m(e, Timing::Alternating);
      const BackwardWeights back(m.net, Stream(1).at("ep.backward"), false);  // as the rule's
      ConvergentDynamics dynamics(m.net, separate ? &back : nullptr, Timing::Alternating);
      const OptionValues values = {{"ep.weights", separate ? "separate" : "tied"}};
      expect_numeric(e, e.exact(values), 2e-8,
                     [&] { return loss_after(dynamics, e, {.steps = 800, .tolerance = 1e-15}); });
    }
}

TEST(EquilibriumDropout, BackpropagationThroughTimeSeesTheMasks) {
  for (const auto& [text, shape, loss, scale] : dropped()) {
    SCOPED_TRACE(text);
    EpExample e = random_example(text, shape, loss, scale);
    InMotion m(e, Timing::Synchronous);
    const Estimate found = e.own({{"ep.estimator", "bptt"},
                                  {"ep.free-steps", "7"},
                                  {"ep.nudged-steps", "9"},
                                  {"ep.dynamics", "synchronous"}});
    expect_numeric(e, found, 1e-9, [&] { return loss_after(m.dynamics, e, {.steps = 7}); });
  }
}

TEST(EquilibriumDropout, EveryMiniBatchHasMasksOfItsOwn) {
  for (const auto& [text, shape, loss, scale] : dropped()) {
    SCOPED_TRACE(text);
    EpExample e = random_example(text, shape, loss, scale, 4);
    const auto rule = bound(kEp, {}, e.net, *e.loss);
    const auto at_step = [&](int64_t index) {
      return gradients(*rule, e.net, *e.loss, e.x, e.y, index);
    };
    const Estimate first = at_step(0), second = at_step(1);
    EXPECT_GT(EpExample::apart(first, second), 0.05);
    EXPECT_TRUE(same_bits(second, e.own({}, 1)));  // nothing is left of the batch before
    rule->predict({.inputs = e.x});
    EXPECT_TRUE(same_bits(at_step(0), first));
    // Examples do not share a mask.
    const Stream draws = draws_of(0), next = draws_of(1);
    InMotion m(e, Timing::Alternating), fresh(e, Timing::Alternating);
    const Tensor same = e.x.narrow(0, 0, 1).expand_as(e.x).contiguous();
    m.dynamics.begin(same, &draws);
    m.dynamics.settle({.steps = 20});
    EXPECT_GT(distance(m.state(1)[0], m.state(1)[1]), 1e-3);
    // The first step from states at work feeds back through the new masks.
    const Field states = m.dynamics.copy();
    for (InMotion* motion : {&m, &fresh}) {
      motion->dynamics.begin(e.x, &next);
      motion->dynamics.set_states(states);
      motion->dynamics.step(nullptr, false);
    }
    for (size_t i = 0; i < states.size(); ++i)
      if (m.net.moves(static_cast<int>(i))) {
        EXPECT_TRUE(at::equal(m.state(i), fresh.state(i))) << i;
      }
  }
}

/// Without its words for dropout.
std::string without_dropout(std::string text) {
  for (size_t from; (from = text.find("dropout 0")) != std::string::npos;)
    text.erase(from, text.find(',', from) + 2 - from);
  return text;
}

/// In float32, so that fused passes are taken where the processor has them.
const std::vector<std::pair<std::string, std::string>> kFused = {
    {"chain: linear 40, hard-sigmoid, dropout 0P, linear 3, hard-sigmoid", "squared-error"},
    {"chain: linear 30, hard-sigmoid, linear 20, dropout 0P, hard-sigmoid, dropout 0P, linear 3",
     "cross-entropy"},
    {"chain: dropout 0P, reshape 1x4x5, conv 4 k=3 p=1, hard-sigmoid, maxpool 2, dropout 0P, "
     "flatten, linear 3",
     "cross-entropy"}};

std::pair<EpExample, EpExample> with_and_without(std::string text, const std::string& loss,
                                                 const std::string& p) {
  for (size_t at; (at = text.find("0P")) != std::string::npos;) text.replace(at, 2, p);
  std::pair<EpExample, EpExample> out = {random_example(text, {20}, loss, 0.6, 7),
                                         random_example(without_dropout(text), {20}, loss, 0.6, 7)};
  copy_weights(out.first.net, out.second.net);
  for (EpExample* e : {&out.first, &out.second}) {
    e->net.to(at::kCPU, at::kFloat);
    e->x = e->x.to(at::kFloat);
  }
  return out;
}

TEST(EquilibriumDropout, DroppingNothingChangesNoBit) {
  for (const auto& [text, loss] : kFused) {
    SCOPED_TRACE(text);
    auto [dropping, plain] = with_and_without(text, loss, "0");
    ASSERT_NE(dropping.net.nodes().size(), plain.net.nodes().size());
    TestRun a(dropping.net, *dropping.loss, make_rule(kEp, {}), {.lr = 0.1}),
        b(plain.net, *plain.loss, make_rule(kEp, {}), {.lr = 0.1});
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(a.step(dropping.x, dropping.y), b.step(plain.x, plain.y));
      EXPECT_EQ(distance(dropping.net, plain.net), 0) << i;
    }
  }
}

TEST(EquilibriumDropout, PredictionsDropNothing) {
  for (const auto& [text, loss] : kFused) {
    SCOPED_TRACE(text);
    auto [dropping, plain] = with_and_without(text, loss, "0.3");
    TestRun run(dropping.net, *dropping.loss, make_rule(kEp, {}), {.lr = 0.1});
    const auto other = bound(kEp, {}, plain.net, *plain.loss);
    for (int i = 0; i < 2; ++i) {
      copy_weights(dropping.net, plain.net);
      const Tensor expected = other->predict({.inputs = plain.x});
      EXPECT_TRUE(at::equal(run.rule().predict({.inputs = dropping.x}), expected));
      EXPECT_TRUE(at::equal(run.rule().predict({.inputs = dropping.x}), expected));
      run.step(dropping.x, dropping.y);
    }
    EXPECT_FALSE(same_bits(dropping.own({}), plain.own({})));
  }
}

TEST(EquilibriumDropout, MasksDoNotDependOnThreads) {
  for (const auto& [text, shape, loss, scale] : dropped()) {
    SCOPED_TRACE(text);
    EpExample e = random_example(text, shape, loss, scale, 21);  // does not divide by the threads
    const auto on = [&](int threads) {
      const test::Threads t(threads);
      return e.own({});
    };
    const Estimate alone = on(1);
    for (const int threads : {2, 3}) EXPECT_LT(EpExample::apart(on(threads), alone), 1e-12);
  }
}

TEST(EquilibriumDropout, ContinualUpdatesKeepTheMasks) {
  const std::string text =
      "chain: dropout 0.3, linear 7, sigmoid, dropout 0.3, linear 6, sigmoid, "
      "dropout 0.3, linear 3";
  std::vector<double> errors;
  for (const double lr : {2e-3, 1e-3}) {
    EpExample e = random_example(text, {5}, "cross-entropy", 0.5);
    const OptionValues values = {
        {"ep.beta", "0.1"}, {"ep.free-steps", "60"}, {"ep.nudged-steps", "7"}};
    const Estimate once = e.own(values);
    const std::vector<Tensor> before = values_of(e.net);
    TestRun run(e.net, *e.loss, make_rule(kEp, with(values, {{"ep.continual", "true"}})),
                {.kind = "sgd", .lr = lr});
    run.step(e.x, e.y);
    Estimate moved;
    for (size_t i = 0; i < before.size(); ++i)
      moved[e.net.params()[i]->name] = (before[i] - e.value(i)) / lr;
    errors.push_back(EpExample::apart(moved, once));
  }
  EXPECT_LT(errors[1], 0.02);
  EXPECT_NEAR(errors[0] / errors[1], 2, 0.2);
}

TEST(EquilibriumDropout, AResumedRunEqualsAnUninterruptedOne) {
  RunSettings s;
  s.rule = "ep";
  s.net = "mlp:784-30-20-10:hard-sigmoid:dropout=0.2";
  s.rule_options = {{"ep.free-steps", "6"}, {"ep.nudged-steps", "3"}};
  s.data_options = {{"glyphs.train", "300"}, {"glyphs.test", "10"}};
  s.epochs = 2;
  s.batch = 100;
  s.threads = 1;
  expect_resumed_run_is_whole(s, load_data(s), {2, 4});
}

TEST(EquilibriumDropout, OthersRefuseIt) {
  const auto said = [](const std::string& rule, const std::string& net) {
    return refusal([&] {
      Graph graph = network(net, {.input_shape = {6}, .classes = 3});
      make_rule(rule, {})->admit(graph, *make_loss("cross-entropy"));
    });
  };
  const std::string holomorphic = said("holomorphic-ep", "mlp:6-5-3:sigmoid:dropout=0.2");
  EXPECT_NE(holomorphic.find("not for its holomorphic form; use 'mlp:6-5-3:sigmoid'"),
            std::string::npos)
      << holomorphic;
  EXPECT_EQ(said("equilibrium-propagation", "mlp:6-5-3:sigmoid:dropout=0.2"), "");
  const std::string maximisation =
      said("corinfomax", "mlp:6-5-3:hard-sigmoid:bias=false,dropout=0.2");
  EXPECT_NE(maximisation.find("dropout"), std::string::npos) << maximisation;
}

}  // namespace
}  // namespace altprop::testing
