// Rules inside of graphs inside of graphs: a block, and one that stands at two places, learn as the
// same network spliced flat does, under every rule.
#include <ATen/core/grad_mode.h>

#include <map>
#include <set>

#include "altprop/base/error.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/sites.h"
#include "altprop/ode/block.h"
#include "altprop/probes/gradient_check.h"
#include "rules/pathways.h"

namespace altprop::nested {
namespace {

using pathways::distance;
using pathways::expect_same;
using pathways::random;
using testing::gradients;
using testing::NamedGradients;
using testing::TestRun;

/// Relative, where there is something to relate to: biases that do not learn stay zero.
double apart(const Tensor& a, const Tensor& b) {
  const double size = b.norm().item<double>();
  return (a - b).norm().item<double>() / (size > 0 ? size : 1);
}

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

using pathways::RuleInside;

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

// ---- a block that evaluates its parts several times ----

/// z <- z + h f(z), `steps` times (Euler 1768): a composite that is no graph.
class EulerBlock : public Op {
 public:
  EulerBlock(std::shared_ptr<Graph> f, int steps, double h)
      : f_(std::move(f)), steps_(steps), h_(h) {}
  std::string type() const override { return "euler"; }
  Spec infer(std::span<const Spec> inputs) const override { return f_->infer(inputs); }
  const Graph* parts() const override { return f_.get(); }
  /// Each step is a use of the parts.
  void visit_parts(const Saved& saved, const Visit& visit) const override {
    for (int k = 0; k < steps_; ++k)
      f_->visit(stages(saved)[static_cast<size_t>(k)],
                {visit.leaf, visit.around, visit.first_site, k});
  }
  Tensor jvp_sites(const Saved& saved, std::span<const SiteTangent> from) const override {
    return push(saved, {}, from);
  }
  std::vector<ParamPtr> params() const override { return f_->params(); }
  Traits traits() const override {
    Traits out = f_->traits();
    out.reuses = true;
    return out;
  }

  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override {
    auto stages = std::make_shared<std::vector<Activity>>(static_cast<size_t>(steps_));
    Tensor z = inputs[0];
    const Pass own{
        .mode = pass.mode, .draws = pass.draws, .ids = pass.ids, .first_row = pass.first_row};
    for (Activity& stage : *stages) z = z + h_ * f_->run(z, stage, own);
    saved.extra = stages;
    return z;
  }
  Credits credit(const Saved& saved, const Tensor& cot, Wanted, const Tensor*,
                 Sweep& sweep) const override {
    Tensor a = cot;
    const char wanted = 1;
    for (int k = steps_; k-- > 0;) {
      Sweep stage = sweep;
      stage.use = k;
      a = a + f_->sweep(stages(saved)[static_cast<size_t>(k)], {{f_->output_node(), h_ * a}},
                        stage, {&wanted, 1})[0];
    }
    return {a};
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    Feedback exact;
    Sweep sweep{exact};
    const char wanted = 1;
    return credit(saved, cot, {&wanted, 1}, nullptr, sweep)[0];
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return push(saved, tangent, {});
  }

 private:
  static std::vector<Activity>& stages(const Saved& saved) {
    return *std::any_cast<const std::shared_ptr<std::vector<Activity>>&>(saved.extra);
  }
  /// @param moved tangent of the input; undefined: it stays
  Tensor push(const Saved& saved, Tensor moved, std::span<const SiteTangent> from) const {
    for (int k = 0; k < steps_; ++k) {
      Push step;
      if (moved.defined()) step.inputs = {moved};
      for (const SiteTangent& one : from)
        if (one.use == k) step.sites.push_back(one);
      const Tensor slope = f_->push(stages(saved)[static_cast<size_t>(k)], step);
      if (!slope.defined()) continue;
      moved = moved.defined() ? moved + h_ * slope : h_ * slope;
    }
    return moved;
  }

  std::shared_ptr<Graph> f_;
  int steps_;
  double h_;
};

std::shared_ptr<Graph> right_hand_side() {
  auto f = std::make_shared<Graph>();
  const int z = f->input({{6}});
  f->output(f->add(linear(6), {f->add(activation("tanh"), {f->add(linear(8), {z}, "a")})}, "b"));
  return f;
}

/// stem - Euler block of 3 steps - out, as a block or unrolled by hand.
Graph euler_net(bool unrolled) {
  Graph net;
  const auto f = right_hand_side();
  int z = net.add(linear(6), {net.input({{9}})}, "stem");
  if (unrolled) {
    for (int k = 0; k < 3; ++k) {
      const int step = net.add(f, {z}, k == 0 ? "ode" : "ode" + std::to_string(k));
      z = net.add(add(2), {z, step}, "z" + std::to_string(k));
    }
  } else {
    z = net.add(std::make_shared<EulerBlock>(f, 3, 1.0), {z}, "ode");
  }
  net.output(net.add(linear(5), {z}, "out"));
  pathways::ready(net);
  return net;
}

class InsideEuler : public ::testing::TestWithParam<RuleInside> {};

TEST_P(InsideEuler, PartsLearnAsTheUnrolledNetworkDoes) {
  at::NoGradGuard no_grad;
  const auto& [name, rule, options] = GetParam();
  Graph net = euler_net(false), unrolled = euler_net(true);
  const auto loss = make_loss("cross-entropy");
  const pathways::Batch batch(net);
  const OptimizerSettings settings{.kind = "momentum", .lr = 0.05, .weight_decay = 0.01};
  TestRun a(net, *loss, make_rule(rule, options), settings),
      b(unrolled, *loss, make_rule(rule, options), settings);
  expect_same(gradients(a.rule(), net, *loss, batch.x, batch.y),
              gradients(b.rule(), unrolled, *loss, batch.x, batch.y), 1e-12);
  for (int i = 0; i < 3; ++i) {
    a.step(batch.x, batch.y);
    b.step(batch.x, batch.y);
  }
  for (size_t i = 0; i < net.params().size(); ++i)
    EXPECT_LT(apart(net.params()[i]->value, unrolled.params()[i]->value), 1e-12)
        << net.params()[i]->name;
}

INSTANTIATE_TEST_SUITE_P(
    Nested, InsideEuler,
    ::testing::ValuesIn(std::vector<RuleInside>{
        {"backprop", "backprop", {}},
        {"feedback_alignment", "feedback-alignment", {}},
        {"uniform_sign", "uniform-sign", {}},
        {"kolen_pollack", "kolen-pollack", {}},
        {"product_activity", "product-feedback-alignment", {{"pfa.form", "activity"}}},
        {"product_implicit", "product-feedback-alignment", {{"pfa.form", "implicit"}}}}),
    [](const auto& info) { return info.param.name; });

/// The tangent that begins at a place arrives as the credit that comes to it: <cot, J u> = <J^T cot,
/// u>, at every leaf, in every use, through blocks in blocks.
void expect_tangents_from_everywhere(Graph& net, size_t places) {
  at::NoGradGuard no_grad;
  Activity activity;
  net.run(random({3, 9}), activity, {Mode::Train});
  const Tensor cot = random({3, 5}, 4);
  struct Credits : Sink {
    std::map<std::pair<int, int>, Tensor> at;
    void take(const LocalSignal& signal) override {
      at[{signal.site->number, signal.site->use}] = signal.cot;
    }
    void take(const ParamSignal&) override {}
  } credits;
  Feedback exact;
  net.sweep(activity, {{net.output_node(), cot}}, exact, &credits);
  const Sites sites(net);
  std::set<std::pair<int, int>> seen;
  net.visit(activity, {.leaf = [&](const Site& site, const Saved& saved) {
              EXPECT_EQ(site.name(), sites[site.number].name);
              const auto found = credits.at.find({site.number, site.use});
              ASSERT_EQ(found != credits.at.end(), !site.node.op->params().empty());
              if (found == credits.at.end()) return;
              seen.insert({site.number, site.use});
              const Tensor u = random(found->second.sizes(), 7 + seen.size());
              const Tensor pushed =
                  net.push(activity, Push{.sites = {{site.number, site.use, u}}});
              const double arrives = (cot * pushed).sum().item<double>(),
                           expected = (found->second * u).sum().item<double>();
              EXPECT_NEAR(arrives, expected, 1e-11) << site.name() << " use " << site.use;
              // What it saw is what its parameters learn from.
              EXPECT_EQ(saved.t[0].size(0), 3);
            }});
  EXPECT_EQ(seen.size(), places) << "each use of each once";
  EXPECT_EQ(seen.size(), credits.at.size());
  EXPECT_THROW(
      net.push(activity, Push{.sites = {{static_cast<int>(sites.size()), 0, cot}}}), UsageError);
}

TEST(Nested, ATangentMayBeginAnywhere) {
  Graph net = nested_net();
  expect_tangents_from_everywhere(net, 8);
}

TEST(NestedEuler, ATangentMayBeginInEveryUseOfAPart) {
  Graph net = euler_net(false);
  expect_tangents_from_everywhere(net, 2 + 2 * 3);
  // Parts that are a graph themselves are evaluated as often.
  Graph deeper;
  auto f = std::make_shared<Graph>();
  f->output(f->add(right_hand_side(), {f->input({{6}})}, "inner"));
  int z = deeper.add(linear(6), {deeper.input({{9}})}, "stem");
  z = deeper.add(std::make_shared<EulerBlock>(f, 3, 1.0), {z}, "ode");
  deeper.output(deeper.add(linear(5), {z}, "out"));
  pathways::ready(deeper);
  expect_tangents_from_everywhere(deeper, 2 + 2 * 3);
}

TEST(NestedEuler, ASolverThatKeepsNothingOfItsPartsSaysSo) {
  Graph net;
  ode::Problem problem;
  problem.sizes.steps = 2;
  int z = net.add(linear(6), {net.input({{9}})}, "stem");
  z = net.add(ode::block(right_hand_side(), problem), {z}, "flow");
  net.output(net.add(linear(5), {z}, "out"));
  pathways::ready(net);
  Activity activity;
  net.run(random({3, 9}), activity, {Mode::Train});
  try {
    net.visit(activity, {.leaf = [](const Site&, const Saved&) {}});
    FAIL() << "nothing was refused";
  } catch (const Refusal& refusal) {
    EXPECT_NE(std::string(refusal.what()).find("'flow' (ode)"), std::string::npos)
        << refusal.what();
  }
  EXPECT_THROW(net.push(activity, Push{.sites = {{Sites(net).find("flow.a"), 0, random({3, 8})}}}),
               Refusal);
}

TEST(NestedEuler, RulesThatHoldStatesRefuseItByName) {
  Graph net = euler_net(false);
  const auto loss = make_loss("cross-entropy");
  for (const char* name : {"activation-relaxation", "predictive-coding"}) {
    const auto rule = make_rule(name);
    try {
      rule->admit(net, *loss);
      rule->bind(net, *loss, 1);
      FAIL() << name;
    } catch (const Refusal& refusal) {
      EXPECT_NE(std::string(refusal.what()).find("'ode'"), std::string::npos) << refusal.what();
      EXPECT_NE(std::string(refusal.what()).find("euler"), std::string::npos) << refusal.what();
    }
  }
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
