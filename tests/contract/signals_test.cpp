// Promises about the signals that a rule sends, or, of a learner without signals, about its moves.
#include <set>

#include "contract/every_rule.h"

#include "altprop/network/architecture.h"
#include "altprop/network/gradients.h"
#include "altprop/network/init.h"
#include "altprop/network/sites.h"
#include "altprop/probes/similarity.h"
#include "altprop/rules/rule.h"

namespace altprop::contract {
namespace {

class EveryRulesSignals : public EveryRule {};

/// What a batch makes of a learner: the gradients of its signals or, of one without signals, the
/// moves of all weights in a step of plain descent.
std::vector<Tensor> made_by(Experiment& e, Step step) {
  if (auto* rule = dynamic_cast<Rule*>(&e.rule())) {
    Gradients sink;
    rule->assign(step, sink);
    return sink.of_params(rule->trained());
  }
  std::vector<ParamPtr> params = e.rule().trained();
  for (const ParamPtr& p : e.rule().owned()) params.push_back(p);
  std::vector<Tensor> moves;
  for (const ParamPtr& p : params) moves.push_back(p->value.clone());
  for (const std::string& pass : e.rule().passes(1, 2)) {
    step.pass = pass;
    e.rule().step(step);
  }
  for (size_t i = 0; i < moves.size(); ++i) moves[i] = params[i]->value - moves[i];
  return moves;
}

RunSettings in_float64(RunSettings s) {
  s.dtype = "float64";
  s.optimizer.kind = "sgd";
  s.optimizer.lr = 0.1;
  s.optimizer.weight_decay = 0;
  return s;
}

void expect_same(const std::vector<Tensor>& found, const std::vector<Tensor>& expected,
                 double bound) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i].defined() || expected[i].defined()) {
      EXPECT_LT(similarity(found[i], expected[i]).relative_error, bound) << "parameter " << i;
    }
}

TEST_P(EveryRulesSignals, DuplicatingTheBatchChangesNoGradient) {
  const RunSettings s = in_float64(settings_for(entry()));
  const auto [x, y] = batch(s, 16);
  std::vector<std::vector<Tensor>> found;
  for (int64_t copies : {1, 2}) {
    Experiment e(s, glyphs());
    Step step = step_of(e, x.repeat({copies, 1, 1, 1}), y.repeat({copies}));
    step.ids = at::arange(16).repeat({copies});
    found.push_back(made_by(e, step));
  }
  expect_same(found[1], found[0], 1e-12);
}

TEST_P(EveryRulesSignals, PartsOfABatchAddUpToTheWhole) {
  const RunSettings s = in_float64(settings_for(entry()));
  const auto [x, y] = batch(s, 16);
  Experiment e(s, glyphs());
  auto* rule = dynamic_cast<Rule*>(&e.rule());
  if (!rule) GTEST_SKIP() << "no signals that could be added";
  const Step whole = step_of(e, x, y);
  Gradients sum;
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 10}, {10, 6}}) {
    Step part = Step::look_at(whole.part(first, count), y.narrow(0, first, count));
    rule->assign(part, sum);
  }
  Step at_once = Step::look_at(whole, y);
  Gradients sink;
  rule->assign(at_once, sink);
  expect_same(sum.of_params(rule->trained()), sink.of_params(rule->trained()), 1e-11);
}

/// Signals may be taken by several stores at once, and by none that wants everything.
TEST_P(EveryRulesSignals, SeveralStoresTakeTheSameSignals) {
  const RunSettings s = in_float64(settings_for(entry()));
  const auto [x, y] = batch(s, 16);
  Experiment e(s, glyphs());
  auto* rule = dynamic_cast<Rule*>(&e.rule());
  if (!rule) GTEST_SKIP() << "no signals";
  const auto assign = [&](Sink& sink) {
    Step step = Step::look_at(step_of(e, x, y), y);
    rule->assign(step, sink);
  };
  Gradients alone, one, last({rule->trained().back()});
  assign(alone);
  Both both(one, last);
  assign(both);
  const std::vector<ParamPtr> params = rule->trained();
  for (const ParamPtr& p : params)
    EXPECT_TRUE(at::equal(one.or_zeros(*p), alone.or_zeros(*p))) << p->name;
  EXPECT_TRUE(at::equal(last.or_zeros(*params.back()), alone.or_zeros(*params.back())));
  EXPECT_EQ(last.all().size(), 1u);
}

/// The gradients of a batch, of the rule bound to a network.
std::vector<Tensor> assigned_to(Rule& rule, Graph& net, const Loss& loss, const Tensor& x,
                                const Tensor& y) {
  rule.bind(net, loss, 1);
  const Look look{.inputs = x, .ids = at::arange(x.size(0)), .draws = Stream(3)};
  Step step = Step::look_at(look, y);
  Gradients sink;
  rule.assign(step, sink);
  return sink.of_params(rule.trained());
}

/// The example network's layers, but for the last, in a block of their own.
Graph in_a_block(const Graph& net) {
  const int cut = net.node(net.output_node()).inputs[0];
  auto block = std::make_shared<Graph>();
  std::vector<int> here;
  for (const Node& node : net.nodes()) {
    if (node.id > cut) break;
    std::vector<int> inputs;
    for (int i : node.inputs) inputs.push_back(here[static_cast<size_t>(i)]);
    here.push_back(node.op ? block->add(node.op, inputs, node.name)
                           : block->input(node.spec, node.name));
  }
  block->output(here.back());
  Graph out;
  const int x = out.input(net.node(net.input_nodes()[0]).spec);
  const int h = out.add(block, {x}, "block");
  out.output(out.add(net.node(net.output_node()).op, {h}, "last"));
  return out;
}

TEST_P(EveryRulesSignals, ABlockOfLayersIsTheLayersInIt) {
  const RunSettings s = in_float64(settings_for(entry()));
  const auto [x, y] = batch(s, 16);
  const auto loss = make_loss(entry().example_loss);
  std::vector<std::vector<Tensor>> found;
  for (const bool nested : {false, true}) {
    Graph net = network(s.net, {.input_shape = glyphs()->train.sample_shape(), .classes = 10});
    net = in_a_block(net);
    if (!nested) net = net.flattened();
    net.to(test::test_device(), at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    auto learner = entry().make();
    auto* rule = dynamic_cast<Rule*>(learner.get());
    if (!rule) GTEST_SKIP() << "no signals";
    if (const std::string why = refusal_of(entry(), net, *loss); !why.empty()) {
      EXPECT_TRUE(nested) << why;
      EXPECT_NE(why.find("block"), std::string::npos) << why;
      GTEST_SKIP() << why;
    }
    found.push_back(assigned_to(*rule, net, *loss, x, y));
  }
  expect_same(found[1], found[0], 1e-12);
}

/// A stem, then one block of layers at two places, as the example network has its layers.
Graph with_a_block_twice(const RuleEntry& entry) {
  // What stands behind the widths in "mlp:784-100-10:relu:bias=false".
  const size_t form = entry.example_net.find(':', 4);
  const std::string act = form == std::string::npos ? ":tanh" : entry.example_net.substr(form);
  const auto parted = [&](const std::string& widths, std::vector<int64_t> shape) {
    return in_a_block(
        network("mlp:" + widths + act, {.input_shape = std::move(shape), .classes = 10}));
  };
  const Graph outer = parted("784-12-10", glyphs()->train.sample_shape()),
              inner = parted("12-12-10", {12});
  const auto layers = [](const Graph& net) { return net.node(net.find("block")).op; };
  Graph out;
  int h = out.input({glyphs()->train.sample_shape()});
  h = out.splice(*layers(outer)->parts(), {h}, "stem.").at(0);
  for (const char* name : {"once", "again"}) h = out.add(layers(inner), {h}, name);
  out.output(out.add(outer.node(outer.output_node()).op, {h}, "last"));
  return out;
}

TEST_P(EveryRulesSignals, ABlockAtTwoPlacesIsItsLayersAtBoth) {
  const auto [x, y] = batch(in_float64(settings_for(entry())), 16);
  const auto loss = make_loss(entry().example_loss);
  std::vector<std::vector<Tensor>> found;
  std::string flat_refused;
  for (const bool nested : {false, true}) {
    Graph net = with_a_block_twice(entry());
    if (!nested) net = net.flattened();
    net.to(test::test_device(), at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    auto learner = entry().make();
    auto* rule = dynamic_cast<Rule*>(learner.get());
    if (!rule) GTEST_SKIP() << "no signals";
    const std::string why = refusal_of(entry(), net, *loss);
    if (!nested) flat_refused = why;
    if (!why.empty() && !nested) continue;  // weights at two places: in blocks no less
    if (nested && !flat_refused.empty()) {
      EXPECT_FALSE(why.empty()) << "flat it is refused: " << flat_refused;
      GTEST_SKIP() << flat_refused;
    }
    if (!why.empty()) {
      EXPECT_NE(why.find("once"), std::string::npos) << why;
      GTEST_SKIP() << why;
    }
    found.push_back(assigned_to(*rule, net, *loss, x, y));
  }
  expect_same(found[1], found[0], 1e-12);
}

/// Looks where the signals of a network's operations say that they come from.
struct SeenPlaces : Sink {
  const Sites& sites;
  std::set<const Op*> ops;
  int seen = 0;  ///< signals that name their parameter or their place
  explicit SeenPlaces(const Sites& sites) : sites(sites) {
    for (const SiteInfo& site : sites.all()) ops.insert(site.op());
  }
  void take(const ParamSignal&) override { ++seen; }
  void take(const LocalSignal& signal) override {
    if (!signal.site || !ops.count(signal.op)) return;  // of a graph of the rule's own
    ++seen;
    ASSERT_LT(static_cast<size_t>(signal.site->number), sites.size());
    EXPECT_EQ(sites[signal.site->number].op(), signal.op) << signal.site->name();
    EXPECT_EQ(sites[signal.site->number].name, signal.site->name());
  }
};

TEST_P(EveryRulesSignals, ComeFromTheSitesThatTheyName) {
  const RunSettings s = in_float64(settings_for(entry()));
  const auto [x, y] = batch(s, 8);
  const auto loss = make_loss(entry().example_loss);
  for (const bool nested : {false, true}) {
    Graph net = network(s.net, {.input_shape = glyphs()->train.sample_shape(), .classes = 10});
    if (nested) net = in_a_block(net);
    net.to(test::test_device(), at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    auto learner = entry().make();
    auto* rule = dynamic_cast<Rule*>(learner.get());
    if (!rule) GTEST_SKIP() << "no signals";
    if (nested && !refusal_of(entry(), net, *loss).empty()) continue;  // see above
    learner->bind(net, *loss, 1);
    const Sites sites(net);
    SeenPlaces places(sites);
    Step step = Step::look_at({.inputs = x, .ids = at::arange(8), .draws = Stream(3)}, y);
    rule->assign(step, places);
    EXPECT_GT(places.seen, 0);
  }
}

TEST_P(EveryRulesSignals, ASecondForwardIsAnotherPassOrIsRefused) {
  const RunSettings s = in_float64(settings_for(entry()));
  const auto [x, y] = batch(s, 8);
  Experiment e(s, glyphs());
  auto* rule = dynamic_cast<Rule*>(&e.rule());
  if (!rule) GTEST_SKIP() << "no signals";
  const Objective objective(e.loss(), y, 8);
  const auto look_at = [&](const Tensor& inputs, int64_t index) {
    return Look{.inputs = inputs,
                .ids = at::arange(8),
                .draws = Stream(3).at(index),
                .index = index};
  };
  const auto credited = [&](Trace& trace) {
    Gradients sink;
    rule->credit(trace, objective, sink);
    return sink.of_params(rule->trained());
  };
  const auto equal = [](const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].defined(), b[i].defined());
      if (a[i].defined()) {
        EXPECT_TRUE(at::equal(a[i], b[i])) << "parameter " << i;
      }
    }
  };
  const Tensor others = x * 0.5;
  const auto of_first = credited(*rule->forward(look_at(x, 1))),
             of_second = credited(*rule->forward(look_at(others, 2)));
  const TracePtr first = rule->forward(look_at(x, 1)),
                 second = rule->forward(look_at(others, 2));
  try {
    equal(credited(*first), of_first);
  } catch (const Error&) {  // its states are those of the last pass
  }
  equal(credited(*second), of_second);
}

TEST_P(EveryRulesSignals, DropoutGoesByTheSample) {
  RunSettings s = settings_for(entry());
  s.dtype = "float64";
  s.net = "mlp:784-30-20-10:tanh:dropout=0.4";
  std::optional<Experiment> made;
  try {
    made.emplace(s, glyphs());
  } catch (const UsageError& refused) {
    GTEST_SKIP() << refused.what();
  }
  auto* rule = dynamic_cast<Rule*>(&made->rule());
  if (!rule) GTEST_SKIP() << "no signals";
  const auto [x, y] = batch(s, 16);
  const auto found = [&](const Tensor& places, const Tensor& ids) {
    Step step = step_of(*made, x.index_select(0, places), y.index_select(0, places));
    step.ids = ids;
    Gradients sink;
    rule->assign(step, sink);
    return sink.of_params(rule->trained());
  };
  const Tensor once = at::arange(16), ids = once * 7 + 3;
  const auto original = found(once, ids), twice = found(once.repeat({2}), ids.repeat({2})),
             others = found(once, ids + 1);
  double apart = 0;
  for (size_t i = 0; i < original.size(); ++i) {
    EXPECT_LT(similarity(original[i], twice[i]).relative_error, 1e-11) << "parameter " << i;
    apart = std::max(apart, similarity(original[i], others[i]).relative_error);
  }
  EXPECT_GT(apart, 1e-3) << "other samples have other masks";
}

TEST_P(EveryRulesSignals, Float32AgreesWithFloat64) {
  std::vector<std::vector<Tensor>> found;
  for (const char* dtype : {"float64", "float32"}) {
    RunSettings s = in_float64(settings_for(entry()));
    s.dtype = dtype;
    Experiment e(s, glyphs());
    const auto [x, y] = batch(s, 64);
    found.push_back(made_by(e, step_of(e, x, y)));
  }
  for (size_t i = 0; i < found[0].size(); ++i)
    EXPECT_LT(similarity(found[1][i], found[0][i]).relative_error, 1e-4) << "parameter " << i;
}

INSTANTIATE_TEST_SUITE_P(Contract, EveryRulesSignals, all_rules(), test_name);

}  // namespace
}  // namespace altprop::contract
