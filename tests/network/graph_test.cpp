#include "altprop/network/graph.h"
#include "altprop/network/gradients.h"

#include <torch/csrc/autograd/autograd.h>

#include "altprop/network/init.h"
#include "altprop/network/sites.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/pool.h"
#include "altprop/network/ops/shape.h"
#include "check_op.h"
#include "graphs.h"

namespace altprop {
namespace {

/// A residual convolutional net with fan-outs, a batch norm and a tied convolution.
struct Residual {
  Graph net;
  int stem, block, last;
  Tensor x = Stream(1).normal({3, 2, 6, 6}, at::kDouble);
  Tensor cot = Stream(2).normal({3, 4}, at::kDouble);

  Residual() {
    stem = net.input({{2, 6, 6}});
    stem = net.add(conv2d({.out = 3, .padding = 1}), {stem}, "stem");
    int h = net.add(batch_norm(), {stem}, "norm");
    h = net.add(relu(), {h});
    h = net.add(conv2d({.out = 3, .padding = 1}), {h}, "body");
    const int skip = net.add(add(), {h, stem}, "skip");
    h = net.add(relu(), {skip});
    const auto body = net.node(net.find("body")).op->params();
    h = net.add(conv2d({.out = 3, .padding = 1}, body[0], body[1]), {h}, "again");
    block = net.add(add(), {h, skip});
    h = net.add(activation("tanh"), {block});
    h = net.add(max_pool2d(2), {h});
    h = net.add(flatten(), {h});
    last = net.add(linear(4), {h}, "head");
    net.output(last);
    initialise(net, Initialiser("kaiming"), Stream(3));
    net.to(at::kCPU, at::kDouble);
  }

  /// The same function in autograd's terms.
  Tensor reference(const Tensor& input, const std::vector<Tensor>& p) const {
    const Tensor s = at::conv2d(input, p[0], p[1], 1, 1);
    const Tensor n =
        std::get<0>(at::native_batch_norm(s, p[2], p[3], {}, {}, true, 0.1, 1e-5)).relu();
    const Tensor skip = at::conv2d(n, p[4], p[5], 1, 1) + s;
    const Tensor b = at::conv2d(skip.relu(), p[4], p[5], 1, 1) + skip;
    return at::linear(at::max_pool2d(b.tanh(), 2).flatten(1), p[6], p[7]);
  }
};

TEST(Graph, ValuesGradientsAndInputCreditEqualAutograds) {
  Residual r;
  std::vector<Tensor> leaves;
  for (const ParamPtr& p : r.net.params()) leaves.push_back(p->value.clone().requires_grad_(true));
  ASSERT_EQ(leaves.size(), 8u);  // the tied convolution counts once
  leaves.push_back(r.x.clone().requires_grad_(true));
  Tensor y;
  std::vector<Tensor> expected;
  {
    at::AutoGradMode on(true);
    y = r.reference(leaves.back(), leaves);
    expected = torch::autograd::grad({y}, leaves, {r.cot});
  }
  Activity activity;
  expect_close(r.net.run(r.x, activity, {Mode::Train}), y.detach(), 1e-12, "forward");
  Feedback exact;
  Gradients sink;
  std::vector<Tensor> credits;
  r.net.sweep(activity, {{r.last, r.cot}}, exact, &sink, {.scale = 0.5, .input_credits = &credits});
  expect_close(credits.at(0), expected.back(), 1e-11, "input credit");
  const std::vector<Tensor> found = sink.of_params(r.net.params());
  for (size_t i = 0; i < found.size(); ++i)
    expect_close(found[i], 0.5 * expected[i], 1e-11, r.net.params()[i]->name);
}

TEST(Graph, PushIsTheDirectionalDerivative) {
  Residual r;
  const std::vector<Tensor> t = {Stream(5).normal(r.x.sizes(), at::kDouble)};
  Activity activity, scratch;
  r.net.run(r.x, activity, {Mode::Train});
  const Tensor pushed = r.net.push(activity, t);
  const double h = 1e-5;
  const Tensor above = r.net.run(r.x + h * t[0], scratch, {Mode::Train}),
               below = r.net.run(r.x - h * t[0], scratch, {Mode::Train});
  expect_close(pushed, (above - below) / (2 * h), 1e-7, "push");
  Feedback exact;
  std::vector<Tensor> credits;
  r.net.sweep(activity, {{r.last, r.cot}}, exact, nullptr, {.input_credits = &credits});
  const Tensor pulled = credits.at(0);
  EXPECT_NEAR(dot_product(r.cot, pushed), dot_product(pulled, t[0]), 1e-10);
}

TEST(Graph, PushBeginsAnywhere) {
  Residual r;
  Activity activity, scratch;
  r.net.run(r.x, activity, {Mode::Train});
  std::map<const Param*, Tensor> t;
  for (const ParamPtr& p : r.net.params())
    t[p.get()] = Stream(6).at(p->name).normal(p->value.sizes(), at::kDouble);
  const Tensor pushed =
      r.net.push(activity, Push{.params = [&](const Param& p) { return t.at(&p); }});
  const double h = 1e-6;
  const auto moved = [&](double by) {
    for (const ParamPtr& p : r.net.params()) p->value = p->value + by * t.at(p.get());
    return r.net.run(r.x, scratch, {Mode::Train}).clone();
  };
  const Tensor above = moved(h), below = moved(-2 * h);
  moved(h);
  expect_close(pushed, (above - below) / (2 * h), 1e-6, "along the parameters");
  // From the stem's output: its parents' part of a push from the input.
  const std::vector<Tensor> from_input = {Stream(5).normal(r.x.sizes(), at::kDouble)};
  Activity again;
  r.net.run(r.x, again, {Mode::Train});
  const Tensor at_stem =
      r.net.node(r.stem).op->jvp(again.saved[static_cast<size_t>(r.stem)], from_input[0], 0);
  expect_close(r.net.push(again, Push{.nodes = {{r.stem, at_stem}}}), r.net.push(again, from_input),
               1e-11, "from a node");
  EXPECT_FALSE(r.net.push(again, Push{}).defined());
}

TEST(Graph, WorkingInPlaceChangesNoBit) {
  for (at::ScalarType type : {at::kDouble, at::kFloat}) {
    Residual r;
    r.net.to(at::kCPU, type);
    const Tensor x = r.x.to(type), cot = r.cot.to(type);
    const auto kept = everything(r.net, x, cot, {.keep_values = true});
    const auto in_place = everything(r.net, x, cot, {});
    for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(at::equal(kept[i], in_place[i])) << i;
  }
}

TEST(Graph, FusedActivationsAgreeWithSeparateOnes) {
  for (const char* name : {"relu", "tanh", "sigmoid"})
    for (at::ScalarType type : {at::kDouble, at::kFloat}) {
      Graph net;
      int h = net.input({{20}});
      for (int64_t width : {30, 17}) {
        h = net.add(linear(width), {h});
        h = net.add(activation(name), {h});
      }
      net.output(net.add(linear(3), {h}));
      initialise(net, Initialiser("akrout"), Stream(1));
      net.to(at::kCPU, type);
      const Tensor x = Stream(2).normal({8, 20}, type), cot = Stream(3).normal({8, 3}, type);
      const auto kept = everything(net, x, cot, {.keep_values = true});
      const auto fused = everything(net, x, cot, {});
      for (size_t i = 0; i < kept.size(); ++i) {
        if (std::string(name) == "relu" || type == at::kDouble)
          EXPECT_TRUE(at::equal(kept[i], fused[i])) << name << " " << i;
        else  // oneDNN has its own tanh and logistic function
          expect_close(fused[i], kept[i], 1e-5, name);
      }
    }
}

TEST(Graph, KeptValuesAreThoseOfTheNodes) {
  Residual r;
  Activity activity;
  const Tensor y = r.net.run(r.x, activity, {Mode::Train}, {.keep_values = true});
  for (const Node& node : r.net.nodes()) {
    const Tensor& value = activity.values[static_cast<size_t>(node.id)];
    EXPECT_EQ(shape_text(value.sizes().slice(1)), shape_text(node.spec.shape)) << node.name;
  }
  EXPECT_TRUE(activity.values[static_cast<size_t>(r.last)].is_same(y));
  const Activity& a = activity;
  const auto at_node = [&](const std::string& name) {
    return a.values[static_cast<size_t>(r.net.find(name))];
  };
  EXPECT_TRUE(at::equal(at_node("skip"), at_node("body") + at_node("stem")));
  EXPECT_TRUE(at::equal(at_node("relu2"), at_node("skip").relu()));
}

TEST(Graph, AnInPlaceChainNeverOverwritesWhatADerivativeReads) {
  // Views, identities and doubled activations between operations that would like to work in place.
  Graph net;
  int h = net.input({{4, 4}});
  h = net.add(linear(4), {h});
  for (const OpPtr& op :
       {relu(), flatten(), activation("tanh"), dropout(0.3), activation("identity"),
        activation("sigmoid"), reshape({4, 4}), dropout(0.2), relu()})
    h = net.add(op, {h});
  net.output(net.add(activation("elu"), {h}));
  initialise(net, Initialiser("xavier"), Stream(1));
  net.to(at::kCPU, at::kDouble);
  const Tensor x = Stream(2).normal({3, 4, 4}, at::kDouble), kept_x = x.clone();
  const Tensor cot = Stream(3).normal({3, 4, 4}, at::kDouble);
  for (Mode mode : {Mode::Train, Mode::Eval}) {
    const auto kept = everything(net, x, cot, {.keep_values = true}, mode);
    const auto in_place = everything(net, x, cot, {}, mode);
    for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(at::equal(kept[i], in_place[i])) << i;
  }
  EXPECT_TRUE(at::equal(x, kept_x));
}

TEST(Graph, ReleaseFreesEachSavedAndChangesNothing) {
  Residual r;
  Feedback exact;
  Gradients sink;
  Activity activity;
  r.net.run(r.x, activity, {Mode::Train});
  r.net.sweep(activity, {{r.last, r.cot}}, exact, &sink);
  const auto plain = sink.of_params(r.net.params());
  Gradients again;
  EXPECT_FALSE(activity.saved[static_cast<size_t>(r.stem)].t.empty());
  r.net.sweep(activity, {{r.last, r.cot}}, exact, &again, {.release = true});
  const auto released = again.of_params(r.net.params());
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(at::equal(plain[i], released[i]));
  for (const Saved& saved : activity.saved) EXPECT_TRUE(saved.t.empty());
}

TEST(Graph, ManyCotangentsInOneSweepEqualTheirSum) {
  auto net = small_graph(3, 4);
  initialise(*net, Initialiser("xavier"), Stream(1));
  const Tensor x = Stream(2).normal({5, 3}), cots = Stream(3).normal({10, 4});
  Activity activity;
  net->run(x, activity, {});
  Feedback exact;
  Gradients sink;
  net->sweep(activity, {{net->output_node(), cots}}, exact, &sink);
  Gradients one_by_one;
  for (const Tensor& c : cots.split(5))
    net->sweep(activity, {{net->output_node(), c}}, exact, &one_by_one);
  const auto together = sink.of_params(net->params()), apart = one_by_one.of_params(net->params());
  for (size_t i = 0; i < together.size(); ++i) expect_close(together[i], apart[i], 1e-5, "sum");
}

TEST(Graph, SignalsArriveInReverseOrderAfterTheCreditIsTaken) {
  // A sink may update at once: the credit below a node must not see the new weights.
  struct Destroyer : Gradients {
    std::vector<std::string> order;
    using Gradients::take;
    void take(const LocalSignal& signal) override {
      order.push_back(signal.site->name());
      signal.accumulate(*this);
      signal.op->params()[0]->value.zero_();
    }
  };
  const auto gradients = [](Gradients& sink) {
    auto net = small_graph(3, 4);
    initialise(*net, Initialiser("xavier"), Stream(1));
    Activity activity;
    net->run(Stream(2).normal({5, 3}), activity, {});
    Feedback exact;
    net->sweep(activity, {{net->output_node(), Stream(3).normal({5, 4})}}, exact, &sink);
    return sink.of_params(net->params());
  };
  Destroyer destroyer;
  Gradients plain;
  const auto a = gradients(destroyer), b = gradients(plain);
  EXPECT_EQ(destroyer.order, (std::vector<std::string>{"b", "a"}));
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i]));
}

TEST(Graph, FeedbackMayReplaceCutOrInspectCredit) {
  struct Cut : Feedback {
    std::vector<std::string> seen;
    Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
                 Sweep& sweep) override {
      return site.name() == "b" ? Credits(1) : Feedback::pull(site, saved, cot, wanted, sweep);
    }
    Tensor arrive(const Site& site, Tensor cot) override {
      seen.push_back(site.name() + (cot.defined() ? "" : "-"));
      return site.name() == "a" ? at::ones({5, 5}) : cot;
    }
  } cut;
  auto net = small_graph(3, 4);
  Activity activity;
  const Tensor x = Stream(2).normal({5, 3});
  net->run(x, activity, {});
  Gradients sink;
  net->sweep(activity, {{net->output_node(), at::ones({5, 4})}}, cut, &sink);
  EXPECT_EQ(cut.seen, (std::vector<std::string>{"tanh1", "b", "relu1-", "a-"}));
  expect_close(sink.of_param(*net->params()[0]), at::ones({5, 5}).mm(x), 1e-6, "replaced credit");
}

TEST(Graph, FeedbackNodesAreThoseThatCreditMustCross) {
  Residual r;
  std::vector<std::string> names;
  const Sites sites(r.net);
  for (int id : sites.crossed_weights()) names.push_back(sites[id].name);
  EXPECT_EQ(names, (std::vector<std::string>{"body", "again", "head"}));
}

TEST(Graph, PredictKeepsBatchNormAndDropoutInEvaluation) {
  Residual r;
  Activity activity;
  expect_close(r.net.predict(r.x), r.net.run(r.x, activity, {Mode::Eval}), 1e-14, "predict");
  Activity forgotten;
  r.net.run(r.x, forgotten, {Mode::Eval}, {.forget = true});
  for (const Saved& saved : forgotten.saved) EXPECT_TRUE(saved.t.empty() && saved.shape.empty());
}

TEST(Graph, ReplayRepeatsMasksAndStatistics) {
  Graph net;
  int h = net.input({{6}});
  h = net.add(linear(5), {h});
  h = net.add(batch_norm(), {h});
  h = net.add(relu(), {h});
  h = net.add(dropout(0.4), {h});
  net.output(net.add(linear(2), {h}));
  initialise(net, Initialiser("xavier"), Stream(1));
  const Tensor x = Stream(2).normal({8, 6});
  Activity activity;
  const Tensor y = net.run(x, activity, {Mode::Train, Stream(4)}).clone();
  expect_close(net.run(x, activity, {Mode::Replay, Stream(5)}), y, 1e-5, "replay");
}

TEST(Graph, RefusalsNameTheNodeAndTheReason) {
  Graph net;
  const int x = net.input({{3, 8, 8}});
  const int c = net.add(conv2d({.out = 4}), {x}, "c1");
  expect_refusal([&] { net.add(relu(), {c}, "c1"); }, "node 'c1': the name is taken");
  expect_refusal([&] { net.add(relu(), {7}, "r"); }, "node 'r': an input does not exist yet");
  expect_refusal([&] { net.add(add(), {c}, "s"); }, "node 's': add takes 2 inputs, not 1");
  expect_refusal([&] { net.add(add(), {x, c}, "s"); }, "node 's': inputs of shapes [3, 8, 8]");
  expect_refusal([&] { net.add(conv2d({.out = 4, .kernel = 9}), {c}, "c2"); },
                 "node 'c2': a window of 9 does not fit");
  expect_refusal([&] { net.find("c3"); }, "did you mean 'c1'");
  expect_refusal([&] { net.output_node(); }, "it has 0 outputs");
  net.output(c);
  Activity activity;
  expect_refusal(
      [&] {
        net.run(at::ones({2, 3, 8, 7}), activity, {});
      },
      "takes samples of shape [3, 8, 8], but the data has [3, 8, 7]");
  expect_refusal([&] { net.run(std::span<const Tensor>(), activity, {}); },
                 "takes 1 inputs, not 0");
  EXPECT_EQ(net.nodes().size(), 2u);  // what was refused left nothing behind
}

}  // namespace
}  // namespace altprop
