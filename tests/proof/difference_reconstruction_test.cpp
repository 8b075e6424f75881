// Proof of the contract: L-DRL (Ernoult et al. 2022, arXiv 2201.13415): a rule with feedback networks of its own, trained by K updates per batch
// in a parameter group with an optimizer of its own, before the forward update.
#include <gtest/gtest.h>

#include "altprop/network/chain.h"
#include "proof/toy.h"

namespace altprop::proof {
namespace {

struct LocalDifferenceReconstruction : Learner {
  double sigma = 0.1, beta = 0.1;
  int64_t k = 3;
  std::vector<Graph> blocks, feedback;  // feedback[l] maps the output of block l to its input; none for the first

  void set_up() override {
    blocks = chain(net());
    feedback.assign(blocks.size(), Graph());
    for (size_t l = 1; l < blocks.size(); ++l) {
      Graph& g = feedback[l];
      const int in = g.input(blocks[l].node(blocks[l].output_node()).spec);
      g.output(g.add(linear(blocks[l].node(blocks[l].input_nodes()[0]).spec.shape[0], false), {in}, "g" + std::to_string(l)));
      g.to(at::kCPU, at::kDouble);
      initialise(g, Initialiser("xavier"), Stream(seed()).at("ldrl"));
      for (const ParamPtr& p : g.params()) p->group = "feedback";
    }
  }
  std::vector<ParamPtr> owned() override {
    std::vector<ParamPtr> out;
    for (const Graph& g : feedback)
      for (const ParamPtr& p : g.params()) out.push_back(p);
    return out;
  }

  void step(Step& s) override {
    const double scale = 1.0 / static_cast<double>(s.batch());
    Feedback exact;
    std::vector<Activity> activity(blocks.size());
    std::vector<Tensor> h{s.inputs};
    for (size_t l = 0; l < blocks.size(); ++l) h.push_back(blocks[l].run(h[l], activity[l], {Mode::Train}));
    s.output = h.back();
    for (size_t l = 1; l < blocks.size(); ++l)
      for (int64_t i = 0; i < k; ++i) {
        // loss = -2 <dx, G(f(x+dx)) - G(y)> + |G(y+dy) - G(y)|^2: credits -2 dx at G(f(x+dx)), 2 (difference) at G(y+dy), and their opposites at G(y).
        const Stream draws = s.draws.at(static_cast<int64_t>(l)).at(i);
        const Tensor dx = draws.at("dx").normal(h[l].sizes(), at::kDouble) * sigma, dy = draws.at("dy").normal(h[l + 1].sizes(), at::kDouble) * sigma;
        Activity scratch, at_y, at_f, at_noise;
        const Graph& g = feedback[l];
        const Tensor r = g.run(h[l + 1], at_y, {});
        g.run(blocks[l].run(h[l] + dx, scratch, {}), at_f, {});
        const Tensor difference = g.run(h[l + 1] + dy, at_noise, {}) - r;
        const int out = g.output_node();
        g.sweep(at_f, {{out, -2 * dx}}, exact, &s.updater(), {.scale = scale, .phase = 0});
        g.sweep(at_noise, {{out, 2 * difference}}, exact, &s.updater(), {.scale = scale, .phase = 1});
        g.sweep(at_y, {{out, 2 * dx - 2 * difference}}, exact, &s.updater(), {.scale = scale, .phase = 2});
        s.updater().apply("feedback");
      }
    // Targets go down by difference correction; each block regresses on its own.
    Tensor target = h.back() - beta * loss().gradient(h.back(), s.targets);
    for (size_t l = blocks.size(); l-- > 0;) {
      blocks[l].sweep(activity[l], {{blocks[l].output_node(), (h[l + 1] - target) / beta}}, exact, &s.updater(), {.scale = scale});
      if (l) target = h[l] + feedback[l].predict(target) - feedback[l].predict(h[l + 1]);
    }
    s.updater().apply();
  }
};

TEST(ProofLocalDifferenceReconstruction, OwnFeedbackNetsAndSeveralUpdatesPerBatch) {
  Graph net = toy_net({6, 10, 8, 3}, "tanh", 4);
  LocalDifferenceReconstruction rule;
  OwnUpdater updater({.kind = "momentum", .lr = 0.05});
  updater.set_group({"feedback", {.kind = "sgd", .lr = 1.0}});
  const auto loss = make_loss("cross-entropy");
  const ToyRun run = train_toy(net, rule, *loss, updater, toy_data(64, 6, 5), 150);
  EXPECT_EQ(updater.steps("feedback"), 150 * 3 * 2);
  EXPECT_EQ(updater.steps(), 150);
  test::expect_learnt_at_most("loss", run.after / run.before, 0.5);
  // The minimum of the feedback loss for a linear block is the transposed weight.
  const Tensor g = rule.feedback[2].params()[0]->value, w = net.params()[4]->value;
  EXPECT_GT(at::cosine_similarity(g.flatten(), w.t().flatten(), 0).item<double>(), 0.8);
}

}  // namespace
}  // namespace altprop::proof
