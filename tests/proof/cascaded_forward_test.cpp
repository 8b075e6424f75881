// Proof of the contract: the cascaded forward algorithm (Zhao et al. 2023, arXiv 2303.09728): passes over the data in which different parts learn, predictors of the rule's
// own, and a prediction that sums over blocks.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/chain.h"
#include "altprop/network/ops/shape.h"
#include "altprop/rules/registry.h"
#include "proof/toy.h"

namespace altprop::proof {
namespace {

struct CascadedForward : Learner {
  std::vector<Graph> blocks, predictors;

  void admit(const Graph& net, const Loss&) const override {
    if (chain(net).size() < 2)
      throw Refusal("network", "no block stands in front of its output", "add a hidden layer");
    for (const Node& node : net.nodes())
      if (node.spec.kind != Kind::Real)
        throw Refusal("node '" + node.name + "'", "predictors are linear maps of real values, which this is none of");
  }

  void set_up() override {
    blocks = chain(net());
    blocks.pop_back();  // the network's own output layer is not used
    for (size_t l = 0; l < blocks.size(); ++l) {
      Graph& p = predictors.emplace_back();
      const int in = p.add(flatten(), {p.input(blocks[l].node(blocks[l].output_node()).spec)});
      p.output(p.add(linear(net().node(net().output_node()).spec.shape[0]), {in}, "predictor" + std::to_string(l + 1)));
      p.to(net().options().device(), net().options().dtype().toScalarType());
      initialise(p, Initialiser("xavier"), Stream(seed()).at("cafo"));
      for (const ParamPtr& param : p.params()) param->group = "fit" + std::to_string(l + 1);
    }
  }
  std::vector<ParamPtr> trained() const override { return {}; }
  std::vector<ParamPtr> owned() override {
    std::vector<ParamPtr> out;
    for (const Graph& g : predictors)
      for (const ParamPtr& p : g.params()) out.push_back(p);
    return out;
  }
  std::vector<std::string> passes(int64_t, int64_t) const override {
    std::vector<std::string> out;
    for (size_t l = 0; l < predictors.size(); ++l) out.push_back("fit" + std::to_string(l + 1));
    return out;
  }
  void step(Step& s) override {
    Tensor h = s.inputs;
    Feedback exact;
    for (size_t l = 0; l < blocks.size(); ++l) {
      h = blocks[l].predict(h);
      if (s.pass != "fit" + std::to_string(l + 1)) continue;
      Activity activity;
      const Tensor out = predictors[l].run(h, activity, {Mode::Train});
      predictors[l].sweep(activity, {{predictors[l].output_node(), loss().gradient(out, s.targets)}}, exact, &s.updater(), {.scale = 1.0 / static_cast<double>(s.batch())});
      s.updater().apply(s.pass);
    }
  }
  Tensor predict(const Look& look) override {
    Tensor h = look.inputs, sum;
    for (size_t l = 0; l < blocks.size(); ++l) {
      h = blocks[l].predict(h);
      const Tensor log_probability = at::log_softmax(predictors[l].predict(h), 1);
      sum = sum.defined() ? sum + log_probability : log_probability;
    }
    return sum;
  }
};

// A learner without signals keeps the promises that can be asked of it.
const RegisterRule registered_cascaded_forward_test{
    {.name = "cascaded-forward-proof",
     .summary = "every block is judged by a predictor of its own, and predictors add up",
     .assumes = "a predictor per block",
     .source = "Zhao et al. 2023, arXiv 2303.09728",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<CascadedForward>(); },
     .order = 901,
     .reaches = 0.5,
     .chains_only = true,
     .refuses_sequences = true}};

TEST(ProofCascadedForward, PassesAndAPredictionOfItsOwn) {
  Graph net = toy_net({6, 20, 20, 3}, "relu", 4);
  const Tensor weight = net.params()[0]->value.clone();
  CascadedForward rule;
  OwnUpdater updater({.kind = "momentum", .lr = 0.1});
  const auto loss = make_loss("cross-entropy");
  const ToyRun run = train_toy(net, rule, *loss, updater, toy_data(64, 6, 5), 100);
  test::expect_learnt_at_most("loss", run.after / run.before, 0.6);
  EXPECT_EQ(updater.steps("fit1"), 100);
  EXPECT_EQ(updater.steps("fit2"), 100);
  EXPECT_TRUE(at::equal(weight, net.params()[0]->value)) << "blocks stay random";
}

}  // namespace
}  // namespace altprop::proof
