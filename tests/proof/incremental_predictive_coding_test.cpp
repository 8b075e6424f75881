// Proof of the contract: predictive coding whose weights step at every inference step (iPC; Salvatori et al., arXiv 2212.00720), so updates
// happen INSIDE the relaxation.
#include <gtest/gtest.h>

#include "altprop/rules/relaxation/relax.h"
#include "proof/toy.h"

namespace altprop::proof {
namespace {

struct IncrementalPredictiveCoding : Learner {
  double eta = 0.1;
  int64_t steps = 5;
  std::vector<double> energies;  // of the last batch

  void step(Step& s) override {
    const StateGraph graph = states(net(), Cut::Blocks);
    std::vector<Activity> activity(graph.edges.size());
    Field v = graph.run(std::span<const Tensor>(&s.inputs, 1), activity, {Mode::Train});
    s.output = v.back().clone();
    const size_t n = graph.states.size();
    std::vector<Tensor> credit(n);  // -error of each state: prediction - value; the loss gradient at the output
    std::vector<Tensor> pulled(n);  // sum over children of J^T credit
    Feedback exact;
    RelaxWatch trace;
    trace.before_step = [&](int64_t) {
      pulled.assign(n, Tensor());
      double energy = 0;
      for (size_t e = 0; e < graph.edges.size(); ++e) {
        const StateGraph::Edge& edge = graph.edges[e];
        std::vector<Tensor> parents;
        for (int p : edge.from) parents.push_back(v[static_cast<size_t>(p)]);
        const Tensor prediction = edge.map.run(parents, activity[e], {Mode::Train});
        const size_t to = static_cast<size_t>(edge.to);
        const bool output = graph.states[to].output;
        credit[to] = output ? loss().gradient(prediction, s.targets) : prediction - v[to];
        energy += output ? loss().value(prediction, s.targets).sum().item<double>() : credit[to].square().sum().item<double>() / 2;
        std::vector<Tensor> inputs;
        edge.map.sweep(activity[e], {{edge.map.output_node(), credit[to]}}, exact, &s.updater(), {.scale = 1.0 / static_cast<double>(s.batch()), .input_credits = &inputs});
        for (size_t i = 0; i < edge.from.size(); ++i) {
          Tensor& sum = pulled[static_cast<size_t>(edge.from[i])];
          sum = sum.defined() ? sum + inputs[i] : inputs[i];
        }
      }
      energies.push_back(energy);
    };
    trace.after_step = [&](int64_t) { s.updater().apply(); };
    energies.clear();
    relax(graph, v, Order::Synchronous, {.steps = steps},
          [&](int i, const Field& field) {
            const size_t k = static_cast<size_t>(i);
            if (graph.states[k].input || graph.states[k].output) return Tensor();
            return field[k] + eta * (credit[k] - pulled[k]);
          },
          &trace);
  }
};

TEST(ProofIncrementalPredictiveCoding, UpdatesInsideTheRelaxation) {
  Graph net = toy_net({6, 12, 8, 3}, "tanh", 3);
  IncrementalPredictiveCoding rule;
  OwnUpdater updater({.kind = "sgd", .lr = 0.05});
  const auto loss = make_loss("cross-entropy");
  const ToyRun run = train_toy(net, rule, *loss, updater, toy_data(64, 6, 5), 150);
  EXPECT_EQ(updater.steps(), 150 * 5) << "one update per inference step";
  test::expect_learnt_at_most("loss", run.after / run.before, 0.35);
  for (size_t t = 1; t < rule.energies.size(); ++t) EXPECT_LE(rule.energies[t], rule.energies[t - 1] * (1 + 1e-9));
}

}  // namespace
}  // namespace altprop::proof
