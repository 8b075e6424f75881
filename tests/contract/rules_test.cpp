// Promises that every registered rule keeps. A new rule is covered by registering itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/gradients.h"
#include "altprop/network/init.h"
#include "altprop/network/ops/activation.h"
#include "altprop/probes/gradient_check.h"
#include "altprop/rules/registry.h"
#include "altprop/train/experiment.h"
#include "altprop/train/interrupt.h"
#include "support/device.h"

namespace altprop {
namespace {

std::shared_ptr<const data::Splits> load_glyphs(const OptionValues& options) {
  RunSettings s;
  s.data_options = options;
  s.data_options.insert({{"glyphs.train", "4000"}, {"glyphs.test", "1000"}});
  return load_data(s);
}

std::shared_ptr<const data::Splits> glyphs() {
  static const auto data = load_glyphs({});
  return data;
}

RunSettings settings_for(const RuleEntry& entry) {
  RunSettings s;
  s.rule = entry.name;
  s.net = entry.example_net;
  s.loss = entry.example_loss;
  s.optimizer.lr = 0.02;
  s.optimizer.weight_decay = 1e-4;
  s.threads = 1;
  s.device = test::test_device().str();
  s.probe_every = 0;
  return s;
}

std::vector<Tensor> weights(Graph& net) {
  std::vector<Tensor> out;
  for (const ParamPtr& param : net.params()) out.push_back(param->value.clone());
  return out;
}

void expect_equal(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << "parameter " << i;
}

class EveryRule : public ::testing::TestWithParam<size_t> {
 protected:
  const RuleEntry& entry() const { return rule_entries()[GetParam()]; }
  static Step step_of(Experiment& e, const Tensor& x, const Tensor& y) {
    return Step::train(e.trainer().updater(),
                       {.inputs = x, .ids = at::arange(x.size(0)), .draws = Stream(3)}, y);
  }
  static std::pair<Tensor, Tensor> batch(const RunSettings& s, int64_t n) {
    data::LoaderOptions options;
    options.batch = n;
    options.device = test::test_device();
    options.dtype = s.dtype == "float64" ? at::kDouble : at::kFloat;
    const data::Batch b = data::Loader(data::first(glyphs()->train, n), options).at(0, 0);
    return {b.inputs, b.targets};
  }
};

TEST_P(EveryRule, DescribesItself) {
  EXPECT_FALSE(entry().summary.empty());
  EXPECT_FALSE(entry().assumes.empty());
  for (const std::string& alias : entry().aliases) EXPECT_EQ(rule_entry(alias).name, entry().name);
  auto rule = entry().make();
  Options options("rule");
  rule->declare(options);
  for (const Options::Entry& o : options.entries()) {
    EXPECT_FALSE(o.doc.help.empty()) << o.name;
    EXPECT_NO_THROW(options.set(o.name, o.default_text))
        << "the default of " << o.name << " must be admissible";
  }
}

TEST_P(EveryRule, OneSeedFixesEverything) {
  RunSettings s = settings_for(entry());
  s.epochs = 1;
  s.max_steps = 12;
  std::vector<Tensor> first;
  for (int i = 0; i < 2; ++i) {
    Experiment e(s, glyphs());
    e.trainer().run();
    if (i == 0) {
      first = weights(e.net());
    } else {
      expect_equal(first, weights(e.net()));
    }
  }
  s.seed = 2;
  Experiment other(s, glyphs());
  other.trainer().run();
  EXPECT_FALSE(at::equal(first[0], weights(other.net())[0]));
}

TEST_P(EveryRule, StartsFromTheSameWeightsAsBackprop) {
  RunSettings s = settings_for(entry());
  Experiment e(s, glyphs());
  s.rule = "backprop";
  Experiment bp(s, glyphs());
  expect_equal(weights(e.net()), weights(bp.net()));
}

/// Stops a run after some steps, as Ctrl-C does.
struct StopAfter : Observer {
  int64_t step;
  explicit StopAfter(int64_t step) : step(step) {}
  void on_step(const Trainer& trainer) override {
    if (trainer.position().step == step) interrupt::request();
  }
};

TEST_P(EveryRule, AResumedRunEqualsAnUninterruptedOne) {
  RunSettings s = settings_for(entry());
  s.epochs = 2;
  s.batch = 500;
  Experiment whole(s, glyphs());
  whole.trainer().run();
  for (int64_t stop : {int64_t{3}, int64_t{8}, int64_t{13}}) {
    TensorMap map;
    {
      Experiment part(s, glyphs());
      StopAfter observer(stop);
      part.trainer().observe(observer);
      EXPECT_EQ(part.trainer().run(), "interrupted");
      interrupt::request(false);
      part.trainer().state(StateIO::saving(map));
    }
    Experiment rest(s, glyphs());
    rest.trainer().state(StateIO::loading(map));
    EXPECT_EQ(rest.trainer().position().step, stop);
    rest.trainer().run();
    expect_equal(weights(whole.net()), weights(rest.net()));
    const auto owned = whole.rule().owned(), of_rest = rest.rule().owned();
    ASSERT_EQ(owned.size(), of_rest.size());
    for (size_t i = 0; i < owned.size(); ++i)
      EXPECT_TRUE(at::equal(owned[i]->value, of_rest[i]->value)) << owned[i]->name;
    EXPECT_EQ(whole.trainer().position().step, rest.trainer().position().step);
  }
}

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

TEST_P(EveryRule, DuplicatingTheBatchChangesNoGradient) {
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

TEST_P(EveryRule, PartsOfABatchAddUpToTheWhole) {
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
TEST_P(EveryRule, SeveralStoresTakeTheSameSignals) {
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

TEST_P(EveryRule, ABlockOfLayersIsTheLayersInIt) {
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
    learner->bind(net, *loss, 1);
    Step step = Step::look_at({.inputs = x, .ids = at::arange(16), .draws = Stream(3)}, y);
    Gradients sink;
    rule->assign(step, sink);
    found.push_back(sink.of_params(learner->trained()));
  }
  expect_same(found[1], found[0], 1e-12);
}

TEST_P(EveryRule, DropoutGoesByTheSample) {
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

TEST_P(EveryRule, ASmallStepLowersTheLossOfItsBatch) {
  RunSettings s = settings_for(entry());
  s.dtype = "float64";
  s.optimizer.kind = "sgd";
  s.optimizer.lr = 1e-3;
  Experiment e(s, glyphs());
  const auto examples = batch(s, 256);
  const auto& x = examples.first;
  const auto& y = examples.second;
  auto loss = [&] { return e.loss().value(e.rule().predict({.inputs = x}), y).mean().item<double>(); };
  const double before = loss();
  Step step = step_of(e, x, y);
  step.pass = e.rule().passes(1, 2).back();
  e.rule().step(step);
  const double after = loss();
  EXPECT_LT(after, before);
  EXPECT_GT(after, before - 0.5)
      << "a step of 1e-3 cannot change the loss by so much: a scale is wrong";
}

TEST_P(EveryRule, Float32AgreesWithFloat64) {
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

double accuracy_of(const RunSettings& s) {
  const auto data = s.data_options.empty() ? glyphs() : load_glyphs(s.data_options);
  Experiment e(s, data);
  e.trainer().run();
  return *e.trainer().evaluate(data->test).accuracy();
}

TEST_P(EveryRule, LearnsGlyphs) {
  RunSettings s = settings_for(entry());
  s.epochs = 6;
  RunSettings own = s;
  own.from_toml(entry().example_settings, "example_settings");
  const double found = accuracy_of(own);
  s.rule = "backprop";
  const double reference = accuracy_of(s);
  EXPECT_GE(reference, s.loss == "cross-entropy" ? 0.85 : 0.75);
  EXPECT_GE(found, entry().reaches * reference) << found << " against backprop's " << reference;
}

/// A convolutional and a residual network: of the common kind if the rule admits that, else with
/// the activation of its example network and without norms.
std::vector<std::string> deep_networks(const RuleEntry& entry) {
  std::vector<std::string> common = {
      "chain: conv 4 k=3 p=1, relu, maxpool 2, conv 6 k=3, relu, gap, linear 10",
      "resnet:8:width=4"};
  const auto data = glyphs();
  const auto refused = [&](const std::string& text) {
    const Graph net = network(text, {.input_shape = data->train.sample_shape(), .classes = 10});
    return !refusal_of(entry, net, *make_loss("cross-entropy")).empty();
  };
  if (!refused(common[0]) && (entry.chains_only || !refused(common[1]))) return common;
  const std::string f = text::split(entry.example_net, ':').at(2);
  // Rules with dynamics take many passes a step, so these are small.
  return {"chain: conv 4 k=5 s=3, " + f + ", maxpool 2, conv 6 k=3, " + f + ", gap, linear 10",
          "dag: x = input; a = " + f + "(conv(x, 4, k=5, s=3)); b = " + f +
              "(conv(a, 4, k=3, p=1)); c = " + f +
              "(add(conv(b, 4, k=3, p=1), a)); y = linear(gap(c), 10); output y"};
}

TEST_P(EveryRule, TrainsConvolutionalAndResidualNetworks) {
  for (const std::string& net : deep_networks(entry())) {
    RunSettings s = settings_for(entry());
    s.net = net;
    const bool skips = net.find("resnet") == 0 || net.find("dag") == 0;
    if (entry().dense_only || (entry().chains_only && skips)) {
      EXPECT_THROW(Experiment(s, glyphs()), Refusal) << net;
      continue;
    }
    s.batch =
        500;  // 8 steps a pass: three of training behind a first pass that may prepare feedback
    s.max_steps = 11;
    Experiment e(s, glyphs());
    const std::vector<Tensor> before = weights(e.net());
    EXPECT_NO_THROW(e.trainer().run()) << net;
    int64_t moved = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      const Tensor now = e.net().params()[i]->value;
      EXPECT_TRUE(now.isfinite().all().item<bool>());
      moved += !at::equal(before[i], now);
    }
    EXPECT_EQ(moved, static_cast<int64_t>(e.rule().trained().size())) << net;
  }
}

TEST_P(EveryRule, RefusesANetworkThatCannotLearn) {
  Graph net;
  net.output(net.add(relu(), {net.input({{4}})}));
  const auto loss = make_loss(entry().example_loss);
  EXPECT_FALSE(refusal_of(entry(), net, *loss).empty());
}

TEST_P(EveryRule, ProbesLeaveNoTrace) {
  RunSettings s = settings_for(entry());
  s.max_steps = 4;
  s.epochs = 1;
  Experiment plain(s, glyphs()), probed(s, glyphs());
  plain.trainer().run();
  probed.trainer().probe();
  probed.trainer().run();
  probed.trainer().probe();
  expect_equal(weights(plain.net()), weights(probed.net()));
}

INSTANTIATE_TEST_SUITE_P(Contract, EveryRule, ::testing::Range(size_t{0}, rule_entries().size()),
                         [](const auto& info) {
                           std::string name = rule_entries()[info.param].name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace altprop
