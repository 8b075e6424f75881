// Proof of the contract: equilibrium propagation (Scellier & Bengio 2017, arXiv 1602.05179; symmetric estimator of Laborieux et al. 2021,
// arXiv 2006.03824): its own inference, two nudged phases as 2B rows of one relaxation, signed signals.
#include <gtest/gtest.h>

#include "proof/toy.h"
#include "altprop/network/gradients.h"

namespace altprop::proof {
namespace {

struct Equilibrium : Rule {
  double beta = 0.01;
  int64_t free_steps = 150, nudged_steps = 80;

  /// Alternating linear operations and activations of a chain.
  struct Layer {
    const Node *affine, *act;
  };
  static std::vector<Layer> layers(const Graph& net) {
    std::vector<Layer> out;
    for (const Node& node : net.nodes()) {
      if (!node.op) continue;
      if (node.op->traits().affine) {
        out.push_back({&node, nullptr});
      } else {
        out.back().act = &node;
      }
    }
    return out;
  }

  /// s_l <- act(op_l(s_{l-1}) + J_{l+1}^T s_{l+1} - beta (s_N - y)); beta [rows, 1].
  static void settle(const std::vector<Layer>& layers, const Tensor& x, std::vector<Tensor>& s, int64_t steps, const Tensor& y, const Tensor& beta) {
    for (int64_t t = 0; t < steps; ++t) {
      std::vector<Tensor> next;
      for (size_t l = 0; l < layers.size(); ++l) {
        Saved scratch;
        Tensor below = l ? s[l - 1] : x;
        Tensor drive = layers[l].affine->op->forward(std::span<const Tensor>(&below, 1), scratch, {});
        if (l + 1 < layers.size()) {
          drive = drive + layers[l + 1].affine->op->vjp(layers[l + 1].affine->op->saved_for(s[l]), s[l + 1]);
        } else if (beta.defined()) {
          drive = drive - beta * (s[l] - y);
        }
        next.push_back(layers[l].act->op->forward(std::span<const Tensor>(&drive, 1), scratch, {}));
      }
      s = next;
    }
  }

  std::vector<Tensor> free_state(const Tensor& x) const {
    const auto ls = layers(net());
    std::vector<Tensor> s;
    for (const Layer& l : ls) s.push_back(at::zeros({x.size(0), l.affine->spec.shape[0]}, x.options()));
    settle(ls, x, s, free_steps, {}, {});
    return s;
  }
  Tensor predict(const Look& look) override { return free_state(look.inputs).back(); }
  bool needs_loss() const override { return true; }

  std::vector<Tensor> rest;  ///< of the last forward pass

  bool keeps_last_pass() const override { return true; }
  TracePtr run(const Look& look) override {
    rest = free_state(look.inputs);
    return trace_of(rest.back());
  }

  Credits emit(Trace& trace, const Objective& objective, Wanted, Sink& sink) override {
    const auto ls = layers(net());
    std::vector<Tensor> s = rest;
    const int64_t b = trace.look.rows();
    const Tensor y = objective.target_rows(s.back()).repeat({2, 1}), x = trace.look.inputs.repeat({2, 1});
    const Tensor betas = at::cat({at::full({b, 1}, beta, x.options()), at::full({b, 1}, -beta, x.options())});
    for (Tensor& layer : s) layer = layer.repeat({2, 1});
    settle(ls, x, s, nudged_steps, y, betas);
    for (size_t l = 0; l < ls.size(); ++l)
      for (int phase = 0; phase < 2; ++phase) {
        const double c = (phase ? 1 : -1) / (2 * beta);
        LocalSignal signal{ls[l].affine->op.get(), nullptr, nullptr, s[l].narrow(0, phase * b, b), c * objective.scale(), phase};
        signal.input = (l ? s[l - 1] : x).narrow(0, phase * b, b);
        sink.take(signal);
      }
    return {};
  }
};

TEST(ProofEquilibrium, OwnInferencePhasesAsRowsSignedSignals) {
  Graph net = toy_net({6, 8, 3}, "shifted-sigmoid", 2, true);
  for (const ParamPtr& p : net.params()) p->value.mul_(0.4);
  Equilibrium rule;
  const auto loss = make_loss("squared-error");
  const ToyData data = toy_data(16, 6, 9);
  // The estimate is the gradient of the loss at the free equilibrium, up to O(beta^2): compare with central differences.
  Step step = Step::look_at({.inputs = data.inputs}, data.targets);
  Gradients sink;
  rule.bind(net, *loss, 1);
  rule.assign(step, sink);
  for (const ParamPtr& p : net.params())
    for (int64_t i : {int64_t{0}, p->value.numel() / 2}) {
      auto at_value = [&](double shift) {
        Tensor flat = p->value.view(-1);
        flat[i].add_(shift);
        const double l = loss->value(rule.predict({.inputs = data.inputs}), data.targets).mean().item<double>();
        flat[i].sub_(shift);
        return l;
      };
      const double expected = (at_value(1e-5) - at_value(-1e-5)) / 2e-5;
      EXPECT_NEAR(sink.of_param(*p).view(-1)[i].item<double>(), expected, 2e-3 * std::abs(expected) + 1e-6) << p->name;
    }
  OwnUpdater updater({.kind = "sgd", .lr = 0.5});
  const ToyRun run = train_toy(net, rule, *loss, updater, data, 60);
  test::expect_learnt_at_most("loss", run.after / run.before, 0.7);
}

}  // namespace
}  // namespace altprop::proof
