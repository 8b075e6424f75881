// Proof of the contract: direct random target projection (Frenkel, Lefebvre, Bol 2021, arXiv
// 1909.01311): the credit of a hidden layer is a fixed random projection of the target,
//
//   delta_l = (y B_l) . f'(a_l),    output layer: its own error
//
// known before the output is, so that every layer learns, and is forgotten, as the forward pass
// goes by. Awkward because there is no pass of credit at all and signals come in forward order.
#include <gtest/gtest.h>

#include "altprop/network/chain.h"
#include "altprop/network/gradients.h"
#include "proof/toy.h"

namespace altprop::proof {
namespace {

struct RandomTargetProjection : Learner {
  std::vector<Graph> blocks;
  std::vector<Tensor> projection;  ///< [classes, units of the block]; undefined for the last

  void set_up() override {
    blocks = chain(net());
    const int64_t classes = net().node(net().output_node()).spec.numel();
    for (size_t l = 0; l + 1 < blocks.size(); ++l)
      projection.push_back(
          Stream(seed())
              .at("drtp")
              .at(static_cast<int64_t>(l))
              .normal({classes, blocks[l].node(blocks[l].output_node()).spec.numel()},
                      net().options()));
    projection.emplace_back();
  }

  void step(Step& s) override {
    learn(s, s.updater());
    update(s);
  }

  void learn(Step& s, Sink& sink) {
    const Objective objective = this->objective(s);
    Tensor h = s.inputs;
    Feedback inside;
    for (size_t l = 0; l < blocks.size(); ++l) {
      Activity activity;
      h = blocks[l].run(h, activity, s.in(Mode::Train));
      const Tensor credit = projection[l].defined()
                                ? objective.target_rows(projected_width(h)).mm(projection[l])
                                : objective.gradient(h);
      blocks[l].sweep(activity, {{blocks[l].output_node(), credit}}, inside, &sink,
                      {.scale = objective.scale(), .release = true});
    }
    s.output = h;
  }

 private:
  /// Rows as wide as the network's output, of h's type.
  Tensor projected_width(const Tensor& h) const {
    return at::empty({h.size(0), net().node(net().output_node()).spec.numel()}, h.options());
  }
};

TEST(ProofRandomTargetProjection, SignalsComeInForwardOrderWithTheTargetsProjection) {
  Graph net = toy_net({6, 5, 4, 3}, "tanh", 2);
  const auto loss = make_loss("cross-entropy");
  RandomTargetProjection rule;
  rule.bind(net, *loss, 1);
  const ToyData data = toy_data(8, 6, 3);
  struct Ordered : Gradients {
    using Gradients::take;
    std::vector<std::string> order;
    void take(const LocalSignal& signal) override {
      order.push_back(signal.site->name());
      Gradients::take(signal);
    }
  } sink;
  Step step = Step::look_at({.inputs = data.inputs}, data.targets);
  rule.learn(step, sink);
  EXPECT_EQ(sink.order, (std::vector<std::string>{"linear1", "linear2", "linear3"}));
  EXPECT_TRUE(at::equal(step.output, net.predict(data.inputs)));
  // By hand.
  const auto params = net.params();
  const Tensor y = at::one_hot(data.targets, 3).to(at::kDouble);
  Tensor h = data.inputs;
  for (size_t l = 0; l < 3; ++l) {
    const Tensor a = at::linear(h, params[2 * l]->value, params[2 * l + 1]->value),
                 f = l < 2 ? a.tanh() : a;
    const Tensor delta = l < 2 ? y.mm(rule.projection[l]) * (1 - f * f) : at::softmax(a, 1) - y;
    EXPECT_LT((sink.of_param(*params[2 * l]) - delta.t().mm(h) / 8).abs().max().item<double>(),
              1e-14);
    EXPECT_LT((sink.of_param(*params[2 * l + 1]) - delta.mean(0)).abs().max().item<double>(),
              1e-14);
    h = f;
  }
}

TEST(ProofRandomTargetProjection, Learns) {
  Graph net = toy_net({6, 20, 20, 3}, "tanh", 4);
  RandomTargetProjection rule;
  OwnUpdater updater({.kind = "momentum", .lr = 0.05});
  const auto loss = make_loss("cross-entropy");
  const ToyRun run = train_toy(net, rule, *loss, updater, toy_data(64, 6, 5), 150);
  test::expect_learnt_at_most("loss", run.after / run.before, 0.4);
}

}  // namespace
}  // namespace altprop::proof
