// Rules ask an operation what it is and never what it is called: a user's own operation is treated
// as the library's is that computes the same, or it is refused by name.
#include <gtest/gtest.h>

#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/softmax_pool.h"
#include "network/check_op.h"
#include "rules/own_operations.h"
#include "rules/pathways.h"

namespace altprop::pathways {
namespace {

TEST(OwnOperation, KeepsTheContract) {
  check_op(std::make_shared<own::Dense>(5, true), {{4, 6}});
  check_op(std::make_shared<own::Dense>(5, false), {{4, 6}});
  check_op(std::make_shared<own::Conv>(4, false), {{2, 3, 5, 6}});
  check_op(std::make_shared<own::Conv>(4, true), {{2, 3, 5, 6}});
  check_op(std::make_shared<own::Squash>(), {{4, 6}});
  check_op(std::make_shared<own::Sine>(), {{4, 6}});
  check_op(std::make_shared<own::Gain>(), {{4, 6}});
  check_op(std::make_shared<own::LargestOfFour>(), {{2, 3, 4, 6}});
  check_op(std::make_shared<own::Drop>(), {{4, 6}});
  check_op(std::make_shared<own::Nearest>(1), {{4, 6}});
  check_op(std::make_shared<own::SoftestOfFour>(), {{2, 3, 4, 6}});
}

/// What Traits::masks promises, which rules and conversions rest on.
TEST(OwnOperation, AMaskIsWhatTrainingMultipliesBy) {
  const Tensor x = random({5, 7}), cot = random({5, 7}, 3);
  const Stream draws = Stream(4);
  for (const OpPtr& op : {dropout(0.3), OpPtr(std::make_shared<own::Drop>())}) {
    ASSERT_TRUE(op->traits().masks);
    const Pass pass{.mode = Mode::Train, .draws = draws, .ids = at::arange(5) + 2};
    const Tensor mask = op->mask(draws, pass.rows(), x.sizes(), x.options());
    EXPECT_GT(mask.eq(0).sum().item<int64_t>(), 0);
    Saved saved;
    EXPECT_TRUE(at::equal(op->forward({&x, 1}, saved, pass), x * mask));
    Saved other = op->saved_with(mask * 2);
    EXPECT_TRUE(at::equal(op->forward({&x, 1}, other, {.mode = Mode::Replay}), x * mask * 2));
    EXPECT_TRUE(at::equal(op->vjp(other, cot), cot * mask * 2));
    EXPECT_TRUE(at::equal(op->forward({&x, 1}, saved, {.mode = Mode::Eval}), x));
  }
  EXPECT_FALSE(activation("tanh")->traits().masks);
  EXPECT_THROW(activation("tanh")->mask(draws, {}, {5, 7}, at::kDouble), Refusal);
  EXPECT_THROW(activation("tanh")->saved_with(x), Refusal);
}

TEST(OwnOperation, ANearestNumberIsThatOfItsInterval) {
  const Tensor x = random({200}) * 3;
  int known = 0;
  for (const std::string& name : Activation::names())
    if (const OpPtr op = activation(name); const auto nearest = op->traits().nearest_in) {
      ++known;
      Saved saved;
      const Tensor y = op->forward({&x, 1}, saved, {});
      EXPECT_TRUE(at::equal(y, x.clamp(nearest->low, nearest->high))) << name;
    }
  EXPECT_EQ(known, 3) << "relu, hard-sigmoid and the centred one";
}

/// Rules with the settings in which they look at operations most closely.
std::vector<RuleInside> rules_and_settings() {
  std::vector<RuleInside> out;
  for (const RuleEntry& entry : rule_entries())
    if (dynamic_cast<Rule*>(entry.make().get())) out.push_back({entry.name, entry.name, {}});
  const std::string ar = "activation-relaxation", pc = "predictive-coding",
                    ep = "equilibrium-propagation", hep = "holomorphic-ep";
  for (const auto& [name, value] : OptionValues{{"ar.derivative-in-relaxation", "false"},
                                                {"ar.derivative-in-plasticity", "false"},
                                                {"ar.derivative-w", "current"},
                                                {"ar.derivative-x", "current"},
                                                {"ar.derivative-w", "child"},
                                                {"ar.plasticity-pre", "current"},
                                                {"ar.granularity", "op"},
                                                {"ar.engine", "loop"},
                                                {"ar.feedback", "fixed"}})
    out.push_back({name + "=" + value, ar, {{name, value}}});
  for (const char* mode : {"exact", "strict", "zil", "ipc", "epc"})
    out.push_back({std::string("pc.mode=") + mode, pc, {{"pc.mode", mode}, {"pc.eta", "0.1"}}});
  out.push_back({"pc.values=pre", pc, {{"pc.values", "pre"}}});
  out.push_back({"wm.response=activation", "weight-mirror", {{"wm.response", "activation"}}});
  out.push_back({"dfa.place=activation", "dfa", {{"dfa.place", "activation"}}});
  for (const char* form : {"product", "activity", "implicit"})
    out.push_back({form, "product-feedback-alignment", {{"pfa.form", form}}});
  for (const char* weights : {"separate", "same-update"})
    out.push_back({std::string("ep.weights=") + weights, ep, {{"ep.weights", weights}}});
  out.push_back({"ep.dynamics=synchronous", ep, {{"ep.dynamics", "synchronous"}}});
  for (const char* points : {"2", "4"})
    out.push_back({std::string("hep.points=") + points, hep, {{"hep.points", points}}});
  out.push_back({"hep.weights=separate", hep, {{"hep.weights", "separate"}}});
  return out;
}

/// "" if the rule can be bound to the network, else the sentence.
std::string refusal_by(const RuleInside& c, Graph& net) {
  try {
    bound(c.rule, net, c.options);
  } catch (const Refusal& refusal) {
    return refusal.what();
  }
  return "";
}

using Maker = std::function<Graph(bool own)>;

void same_values(Graph& to, Graph& from) {
  for (const ParamPtr& param : to.params())
    for (const ParamPtr& other : from.params())
      if (other->name == param->name) param->value.copy_(other->value);
}

/// Makes the network of the library's operations and that of their twins, and compares what every
/// rule makes of them that admits the first. @returns rules that refuse the second, which is to be
/// by the name of a node
std::vector<std::string> compare_twins(const Maker& make, const std::string& node,
                                       const std::vector<at::ScalarType>& types = {at::kDouble}) {
  std::vector<std::string> refused;
  int compared = 0;
  static const auto loss = make_loss("squared-error");
  for (const at::ScalarType type : types)
    for (const RuleInside& c : rules_and_settings()) {
      SCOPED_TRACE(c.name + (type == at::kFloat ? " in float32" : ""));
      Graph ours = make(false), theirs = make(true);
      for (Graph* net : {&ours, &theirs}) net->to(test::test_device(), type);
      initialise(ours, Initialiser("xavier"), Stream(1).at("init"));
      same_values(theirs, ours);
      if (!refusal_by(c, ours).empty()) continue;
      if (const std::string why = refusal_by(c, theirs); !why.empty()) {
        EXPECT_NE(why.find("node '" + node), std::string::npos) << why;
        if (type == at::kDouble) refused.push_back(c.name);
        continue;
      }
      ++compared;
      const Batch batch(ours);
      auto a = bound(c.rule, ours, c.options), b = bound(c.rule, theirs, c.options);
      const double tolerance = type == at::kDouble ? 1e-8 : 2e-3;
      NamedGradients x = gradients(*a, ours, *loss, batch.x, batch.y),
                     y = gradients(*b, theirs, *loss, batch.x, batch.y);
      EXPECT_EQ(x.size(), y.size());
      for (const auto& [name, value] : x) {
        const double size = value.norm().item<double>();
        EXPECT_LE((y.at(name) - value).norm().item<double>(), tolerance * (size + 1e-9)) << name;
      }
      EXPECT_LE(distance(b->predict({.inputs = batch.x}), a->predict({.inputs = batch.x})),
                tolerance);
    }
  EXPECT_GE(compared, 20) << "most of some 40 rules and settings admit such networks";
  return refused;
}

using Names = std::vector<std::string>;

TEST(OwnOperation, ADenseMapIsOneWhateverItsName) {
  for (const char* function : {"relu", "tanh", "hard-sigmoid"})
    for (const bool bias : {true, false}) {
      SCOPED_TRACE(function);
      const Maker make = [&](bool own) {
        Graph net;
        int x = net.input({{9}});
        for (const int64_t out : {12, 8, 5}) {
          if (x > 0) x = net.add(activation(function), {x});
          const OpPtr op = own ? std::make_shared<own::Dense>(out, bias) : linear(out, bias);
          x = net.add(op, {x}, text::cat("fc", out));
        }
        net.output(x);
        return net;
      };
      // In float32 there are fused passes for dense layers.
      EXPECT_EQ(compare_twins(make, "fc", {at::kDouble, at::kFloat}), Names());
    }
}

Graph images(const OpPtr& first, const OpPtr& second, const OpPtr& pool, const char* function) {
  Graph net;
  int x = net.add(first, {net.input({{3, 6, 6}})}, "conv1");
  x = net.add(activation(function), {x});
  x = net.add(second, {x}, "conv2");
  x = net.add(activation(function), {x});
  x = net.add(pool, {x}, "pool");
  net.output(net.add(linear(5), {net.add(flatten(), {x})}, "fc"));
  return net;
}

TEST(OwnOperation, AConvolutionIsOneWhateverItsName) {
  for (const char* function : {"relu", "hard-sigmoid", "sigmoid"}) {
    SCOPED_TRACE(function);
    const Maker make = [&](bool own) {
      const auto conv = [&](int64_t out) -> OpPtr {
        if (own) return std::make_shared<own::Conv>(out, false);
        return conv2d({.out = out, .kernel = 3, .padding = 1});
      };
      return images(conv(4), conv(6), max_pool2d(2), function);
    };
    EXPECT_EQ(compare_twins(make, "conv"), Names());
  }
}

TEST(OwnOperation, ATransposedConvolutionIsOneWhateverItsName) {
  const Maker make = [&](bool own) {
    OpPtr op = conv_transpose2d({.out = 6, .kernel = 3, .padding = 1});
    if (own) op = std::make_shared<own::Conv>(6, true);
    return images(conv2d({.out = 4, .kernel = 3, .padding = 1}), op, max_pool2d(2), "relu");
  };
  EXPECT_EQ(compare_twins(make, "conv2"), Names());
  Graph net = make(true);
  EXPECT_EQ(
      refusal_by({"", "direct-feedback-alignment", {}}, net),
      "node 'conv2': the projected error has no kernel placement in a own-up, whose weight is "
      "not laid out by output channels; use dfa.place=activation");
  EXPECT_EQ(
      refusal_by({"", "product-feedback-alignment", {}}, net),
      "node 'conv2': its weight has no leading output-channel axis that a feedback population "
      "could expand; list it in pfa.skip to give it exact credit");
}

TEST(OwnOperation, ASelectionIsAMaxPooling) {
  for (const char* function : {"relu", "hard-sigmoid", "sigmoid"}) {
    SCOPED_TRACE(function);
    const Maker make = [&](bool own) {
      OpPtr pool = max_pool2d(2);
      if (own) pool = std::make_shared<own::LargestOfFour>();
      return images(conv2d({.out = 4, .kernel = 3, .padding = 1}),
                    conv2d({.out = 6, .kernel = 3, .padding = 1}), pool, function);
    };
    EXPECT_EQ(compare_twins(make, "pool"), Names());
  }
}

TEST(OwnOperation, AnActivationIsOneOrIsRefused) {
  const Maker make = [&](bool own) {
    Graph net;
    int x = net.add(linear(12), {net.input({{9}})}, "fc1");
    for (const int64_t out : {8, 5}) {
      x = net.add(own ? std::make_shared<own::Squash>() : activation("tanh"), {x},
                  text::cat("squash", out));
      x = net.add(linear(out), {x}, text::cat("fc", out));
    }
    net.output(x);
    return net;
  };
  // Those whose states settle ask for its bounds, which only the library's table knows.
  for (const std::string& name : compare_twins(make, "squash"))
    EXPECT_TRUE(name.find("ep") != std::string::npos ||
                name.find("equilibrium") != std::string::npos)
        << name;
  Graph net = make(true);
  EXPECT_NE(refusal_by({"", "equilibrium-propagation", {}}, net).find("own-squash does not say"),
            std::string::npos);
}

TEST(OwnOperation, AMaskIsDropoutWhateverItsName) {
  for (const char* function : {"relu", "hard-sigmoid", "dsilu"}) {
    SCOPED_TRACE(function);
    const Maker make = [&](bool own) {
      Graph net;
      int x = net.input({{9}});
      for (const int64_t out : {12, 8, 5}) {
        if (x > 0) {
          x = net.add(activation(function), {x});
          x = net.add(own ? std::make_shared<own::Drop>() : dropout(own::Drop::kShare), {x},
                      text::cat("drop", out));
        }
        x = net.add(linear(out), {x}, text::cat("fc", out));
      }
      net.output(x);
      return net;
    };
    EXPECT_EQ(compare_twins(make, "drop"), Names());
  }
}

TEST(OwnOperation, AnActivationNamesADomainOfRatesByItsInterval) {
  for (const auto& [function, high] : {std::pair{"hard-sigmoid", 1.0}, {"relu", INFINITY}}) {
    SCOPED_TRACE(function);
    const Maker make = [&, f = function, h = high](bool own) {
      Graph net;
      int x = net.input({{9}});
      for (const int64_t out : {12, 8, 5}) {
        if (x > 0)
          x = net.add(own ? std::make_shared<own::Nearest>(h) : activation(f), {x},
                      text::cat("nearest", out));
        x = net.add(linear(out, false), {x}, text::cat("fc", out));
      }
      net.output(x);
      return net;
    };
    Graph net = make(true);
    EXPECT_EQ(refusal_by({"", "corinfomax", {}}, net), "");
    const Names refused = compare_twins(make, "nearest");
    EXPECT_EQ(std::count(refused.begin(), refused.end(), "corinfomax"), 0);
  }
  Graph net;
  int x = net.add(linear(8, false), {net.input({{9}})}, "fc1");
  x = net.add(std::make_shared<own::Nearest>(6), {x}, "nearest");
  net.output(net.add(linear(5, false), {x}, "fc2"));
  EXPECT_NE(refusal_by({"", "corinfomax", {}}, net).find("own-nearest names no domain of rates"),
            std::string::npos);
}

TEST(OwnOperation, APoolingIsAnalyticWhateverItsName) {
  const Maker make = [&](bool own) {
    OpPtr pool = softmax_pool2d(2);
    if (own) pool = std::make_shared<own::SoftestOfFour>();
    return images(conv2d({.out = 4, .kernel = 3, .padding = 1}),
                  conv2d({.out = 6, .kernel = 3, .padding = 1}), pool, "dsilu");
  };
  EXPECT_EQ(compare_twins(make, "pool"), Names());
  Graph net = make(true);
  EXPECT_EQ(refusal_by({"", "holomorphic-ep", {}}, net), "");
}

TEST(OwnOperation, AWeightThatIsNotAffineIsRefusedWhereThatMatters) {
  Graph net;
  int x = net.add(linear(8), {net.input({{9}})}, "fc1");
  x = net.add(activation("hard-sigmoid"), {x});
  x = net.add(std::make_shared<own::Sine>(), {x}, "wave");
  net.output(net.add(linear(5), {net.add(activation("hard-sigmoid"), {x})}, "fc2"));
  ready(net);
  const auto why = [&](const std::string& rule) { return refusal_by({"", rule, {}}, net); };
  EXPECT_EQ(why("backprop"), "");
  EXPECT_EQ(why("feedback-alignment"), "");
  for (const auto& [rule, part] : std::map<std::string, std::string>{
           {"weight-mirror", "node 'wave': the response of a "},
           {"equilibrium-propagation", "node 'wave': own-sine is not"},
           {"holomorphic-ep", "node 'wave': own-sine is not"},
           {"product-feedback-alignment", "node 'wave': its weight"}})
    EXPECT_EQ(why(rule).substr(0, part.size()), part) << why(rule);
}

TEST(OwnOperation, CreditCrossesAGainAsIfItWereOne) {
  Graph net;
  int x = net.add(linear(8), {net.input({{9}})}, "fc1");
  x = net.add(activation("tanh"), {x});
  x = net.add(std::make_shared<own::Gain>(), {x}, "gain");
  net.output(net.add(linear(5), {x}, "fc2"));
  ready(net);
  const Batch batch(net);
  const auto loss = make_loss("squared-error");
  const auto of = [&](const char* gain) {
    return gradients(*bound("feedback-alignment", net, {{"feedback.norm-gain", gain}}), net, *loss,
                     batch.x, batch.y)["fc1.weight"];
  };
  EXPECT_LE(distance(of("exact"), 3 * of("one")), 1e-14);
}

/// Rules add operations to graphs of their own: one that forgets its weights then is noticed.
TEST(OwnOperation, ParametersAreBuiltOnce) {
  struct Forgetful : own::Dense {
    using own::Dense::Dense;
    void build(std::span<const Spec> inputs) override {
      weight_ = nullptr;
      own::Dense::build(inputs);
    }
  };
  Graph net;
  const int x = net.add(std::make_shared<Forgetful>(8, false), {net.input({{9}})}, "first");
  net.output(net.add(linear(5), {net.add(relu(), {x})}, "last"));
  ready(net);
  EXPECT_EQ(refusal_by({"", "predictive-coding", {}}, net),
            "node 'first': building own-transpose once more has replaced 'first.weight', which "
            "another graph learns; let Op::build keep parameters that are there");
}

}  // namespace
}  // namespace altprop::pathways
