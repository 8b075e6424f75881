// Rules inside of graphs inside of graphs: a block, and one that stands at two places, learn as the
// same network spliced flat does, under every rule.
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/linear.h"
#include "altprop/probes/gradient_check.h"
#include "rules/nested.h"

namespace altprop::nested {
namespace {

using testing::NamedGradients;

std::shared_ptr<Graph> block(int64_t width) {
  auto net = std::make_shared<Graph>();
  const int x = net->input({{width}});
  int h = net->add(linear(width + 2), {x}, "a");
  h = net->add(activation("tanh"), {h}, "squash");
  h = net->add(linear(width), {h}, "b");
  net->output(net->add(add(2), {h, x}, "sum"));
  return net;
}

/// stem - block - block in a block - the first block again - out.
Graph nested_net() {
  Graph net;
  const auto first = block(6);
  auto outer = std::make_shared<Graph>();
  const int in = outer->input({{6}});
  outer->output(outer->add(activation("tanh"), {outer->add(block(6), {in}, "inner")}, "bend"));
  int x = net.add(linear(6), {net.input({{9}})}, "stem");
  x = net.add(first, {x}, "one");
  x = net.add(outer, {x}, "two");
  x = net.add(first, {x}, "again");
  net.output(net.add(linear(5), {x}, "out"));
  pathways::ready(net);
  return net;
}

/// Rules for any block, and those that see through a graph inside of a graph in other ways.
std::vector<RuleInside> rules_inside() {
  std::vector<RuleInside> out = pathways::rules_for_blocks();
  out.insert(out.end(),
             {{"direct", "direct-feedback-alignment", {}},
              {"direct_to_activations", "direct-feedback-alignment", {{"dfa.place", "activation"}}},
              {"activation_relaxation", "activation-relaxation", {{"ar.engine", "loop"}}},
              {"relaxation_through_random", "activation-relaxation", {{"ar.feedback", "fixed"}}},
              {"predictive_coding", "predictive-coding", {}}});
  return out;
}

class Inside : public ::testing::TestWithParam<RuleInside> {};

TEST_P(Inside, GradientsAreThoseOfTheFlatNetwork) {
  at::NoGradGuard no_grad;
  const auto& [name, rule, options] = GetParam();
  Graph net = nested_net(), flat = net.flattened();  // the same operations and parameters
  ASSERT_TRUE(net.has_composites());
  ASSERT_FALSE(flat.has_composites());
  ASSERT_EQ(net.params().size(), flat.params().size());
  const auto loss = make_loss("cross-entropy");
  const pathways::Batch batch(net);
  auto inside = make_rule(rule, options), spliced = make_rule(rule, options);
  for (Learner* r : {inside.get(), spliced.get()}) r->prepare_for({.kind = "sgd", .lr = 0.1});
  inside->admit(net, *loss);
  inside->bind(net, *loss, 1);
  spliced->bind(flat, *loss, 1);
  expect_same(gradients(*inside, net, *loss, batch.x, batch.y),
              gradients(*spliced, flat, *loss, batch.x, batch.y), 1e-13);
}

TEST_P(Inside, TrainingIsThatOfTheFlatNetwork) {
  at::NoGradGuard no_grad;
  const auto& [name, rule, options] = GetParam();
  Graph net = nested_net(), twin = nested_net();
  Graph flat = twin.flattened();
  const auto loss = make_loss("cross-entropy");
  const pathways::Batch batch(net);
  const OptimizerSettings settings{.kind = "momentum", .lr = 0.1, .weight_decay = 0.01};
  TestRun inside(net, *loss, make_rule(rule, options), settings),
      spliced(flat, *loss, make_rule(rule, options), settings);
  const Tensor before = net.params()[0]->value.clone(), last = net.params().back()->value.clone();
  for (int i = 0; i < 4; ++i) {
    inside.step(batch.x, batch.y);
    spliced.step(batch.x, batch.y);
  }
  EXPECT_GT(distance(net.params().back()->value, last), 1e-4);
  if (rule != "last-layer-only") {
    EXPECT_GT(distance(net.params()[0]->value, before), 1e-6);
  }
  for (size_t i = 0; i < net.params().size(); ++i)
    EXPECT_LT(apart(net.params()[i]->value, flat.params()[i]->value), 1e-12)
        << net.params()[i]->name;
  const auto own = inside.rule().owned(), theirs = spliced.rule().owned();
  ASSERT_EQ(own.size(), theirs.size());
  for (size_t i = 0; i < own.size(); ++i)
    EXPECT_LT(apart(own[i]->value, theirs[i]->value), 1e-12) << own[i]->name;
}

TEST_P(Inside, ChecksAndInstrumentsSeeTheParts) {
  at::NoGradGuard no_grad;
  const auto& [name, rule, options] = GetParam();
  Graph net = nested_net();
  const auto loss = make_loss("cross-entropy");
  const pathways::Batch batch(net);
  auto learner = make_rule(rule, options);
  learner->bind(net, *loss, 1);
  const Step step = Step::look_at({.inputs = batch.x}, batch.y);
  const auto rows = compare_gradients(dynamic_cast<Rule&>(*learner), step);
  ASSERT_EQ(rows.size(), net.params().size());
  for (const GradientRow& row : rows)
    if (rule == "backprop") {
      EXPECT_LT(row.s.relative_error, 1e-12) << row.name;
    }
  // Feedback alignment is not backprop inside of a block any more.
  if (rule == "feedback-alignment") {
    EXPECT_GT(rows[2].s.angle_degrees, 1) << rows[2].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Nested, Inside, ::testing::ValuesIn(rules_inside()),
                         [](const auto& info) { return info.param.name; });

/// What a direction keeps goes by the weight, wherever that stands and however often.
TEST(Nested, ADirectionFollowsThePartsOfBlocks) {
  at::NoGradGuard no_grad;
  const auto loss = make_loss("cross-entropy");
  const auto learnt = [&](bool flat, const char* direction) {
    Graph net = nested_net();
    if (flat) net = net.flattened();
    const pathways::Batch batch(net);
    OwnUpdater updater({.kind = "sgd", .lr = 0.2});
    const std::shared_ptr<Direction> along = make_direction(direction);
    if (along) along->admit(net);
    updater.set_direction(along);
    const auto rule = make_rule("feedback-alignment");
    rule->bind(net, *loss, 1);
    updater.bind(net.params());
    for (int64_t i = 0; i < 3; ++i) {
      Step step = Step::train(updater, {.inputs = batch.x, .index = i, .learning = true}, batch.y);
      rule->step(step);
    }
    std::vector<Tensor> out;
    for (const ParamPtr& p : net.params()) out.push_back(p->value);
    return out;
  };
  const auto inside = learnt(false, "recursive-least-squares"),
             spliced = learnt(true, "recursive-least-squares"), plain = learnt(true, "accumulate");
  for (size_t i = 0; i < inside.size(); ++i) {
    EXPECT_LT(apart(inside[i], spliced[i]), 1e-12) << i;
    EXPECT_GT(apart(inside[i], plain[i]), 1e-6) << i;
  }
}

TEST(Nested, EachUseOfABlockIsASiteAndItsWeightHasOnePath) {
  Graph net = nested_net();
  const Sites sites(net);
  EXPECT_EQ(static_cast<int>(sites.size()), net.site_count());
  std::vector<std::string> crossed;
  for (int site : sites.crossed_weights()) crossed.push_back(sites[site].name);
  EXPECT_EQ(crossed, (std::vector<std::string>{"one.a", "one.b", "two.inner.a", "two.inner.b",
                                               "again.a", "again.b", "out"}));
  EXPECT_EQ(sites[sites.find("two.inner.a")].inputs[0], sites.find("one.sum"));
  EXPECT_EQ(sites[sites.find("out")].inputs[0], sites.find("again.sum"));
  EXPECT_EQ(sites[sites.output()].name, "out");
  auto rule = make_rule("feedback-alignment");
  rule->bind(net, *make_loss("cross-entropy"), 1);
  EXPECT_EQ(rule->feedback().size(), 5u);  // one.a, one.b, two's, out
}

TEST(Nested, SitesNumberWhatASweepVisits) {
  Graph net = nested_net();
  const Sites sites(net);
  struct Recorder : Feedback {
    std::vector<std::pair<int, std::string>> seen;
    Tensor arrive(const Site& site, Tensor cot) override {
      seen.emplace_back(site.number, site.name());
      return cot;
    }
  } recorder;
  Activity activity;
  net.run(random({3, 9}), activity, {Mode::Train});
  Gradients sink;
  net.sweep(activity, {{net.output_node(), random({3, 5})}}, recorder, &sink);
  EXPECT_EQ(recorder.seen.size(), sites.leaves().size() + 4);  // and the composites
  for (const auto& [number, name] : recorder.seen) EXPECT_EQ(sites[number].name, name);
}

TEST(Nested, FrozenPartsAndReleasedMemory) {
  Graph net = nested_net();
  for (const ParamPtr& p : net.params())
    if (p->name.find("two") == 0) p->learnt = false;
  Activity activity;
  net.run(random({3, 9}), activity, {Mode::Train});
  Gradients sink;
  Feedback exact;
  // Whoever holds what a block has saved sees it go while the sweep goes on, and not with the block.
  std::vector<std::shared_ptr<Activity>> inside;
  for (const Saved& saved : activity.saved)
    if (const auto* held = std::any_cast<std::shared_ptr<Activity>>(&saved.extra))
      inside.push_back(*held);
  ASSERT_EQ(inside.size(), 3u);
  net.sweep(activity, {{net.output_node(), random({3, 5})}}, exact, &sink, {.release = true});
  for (const ParamPtr& p : net.params())
    EXPECT_EQ(sink.of_param(*p).defined(), p->learnt) << p->name;
  for (const Saved& saved : activity.saved) EXPECT_FALSE(saved.extra.has_value());
  for (const auto& held : inside)
    for (const Saved& saved : held->saved) {
      EXPECT_TRUE(saved.t.empty());
      EXPECT_FALSE(saved.extra.has_value());
    }
}

TEST(Nested, TraitsAreAskedOfTheParts) {
  auto inner = std::make_shared<Graph>();
  inner->output(inner->add(dropout(0.5), {inner->add(batch_norm(), {inner->input({{4}})})}));
  Graph net;
  net.output(net.add(inner, {net.input({{4}})}));
  EXPECT_TRUE(net.traits().draws);
  EXPECT_TRUE(net.traits().couples_samples);
  EXPECT_FALSE(net.traits().reuses);
  EXPECT_TRUE(net.traits().substitutable);
  EXPECT_TRUE(nested_net().traits().reuses);
}

TEST(Nested, ATangentMayBeginAnywhere) {
  Graph net = nested_net();
  expect_tangents_from_everywhere(net, 8);
}

// ---- the order of signal and credit ----

TEST(SweepOrder, WithTheSignalFirstTheCreditCrossesTheNewWeights) {
  at::NoGradGuard no_grad;
  const auto first_gradient = [](altprop::SweepOrder order) {
    Graph net = testing::mlp({4, 3, 2}, "tanh", 1, at::kDouble);
    struct Doubling : Gradients {
      using Gradients::take;
      void take(const LocalSignal& signal) override {
        Gradients::take(signal);
        signal.op->weight()->value.mul_(2);
      }
    } sink;
    Activity activity;
    Feedback exact;
    net.run(random({5, 4}), activity, {Mode::Train});
    net.sweep(activity, {{net.output_node(), random({5, 2}, 3)}}, exact, &sink, {.order = order});
    return sink.of_param(*net.params()[0]);
  };
  const Tensor old_weights = first_gradient(altprop::SweepOrder::CreditFirst),
               new_weights = first_gradient(altprop::SweepOrder::SignalFirst);
  EXPECT_LT(distance(new_weights, 2 * old_weights), 1e-14);
}

}  // namespace
}  // namespace altprop::nested
