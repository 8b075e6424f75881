// Proof rule: semi-implicit backpropagation. Each layer takes its step as soon as its signal is
// there, and the credit goes on through the new weight (after D. Frerix, T. Mollenhoff, M. Moeller,
// D. Cremers 2018, "Proximal backpropagation", arXiv 1706.04638, with an explicit step in a layer).
// Awkward because single operations are stepped in the middle of a sweep, and the update at its end
// must not step them again: neither momentum nor weight decay may see one gradient twice.
#include <ATen/core/grad_mode.h>

#include "altprop/network/gradients.h"
#include "altprop/rules/registry.h"
#include "altprop/train/experiment.h"
#include "proof/toy.h"

namespace altprop::proof {
namespace {

/// Hands a signal on and has its operation stepped at once.
struct SteppedAtOnce : PassingSink {
  Updater& updater;
  explicit SteppedAtOnce(Updater& to) : PassingSink(to), updater(to) {}
  using PassingSink::take;
  void take(const LocalSignal& signal) override {
    next.take(signal);
    updater.apply_to(*signal.op);
  }
};

struct SemiImplicit : Rule {
  bool steps_alone() const override { return true; }
  bool allows_in_place() const override { return true; }  // which stepping alone turns off
  void step(Step& step) override {
    SteppedAtOnce sink(step.updater());
    assign(step, sink);
    update(step);
  }

 protected:
  Credits emit(Trace& trace, const Objective& objective, Wanted, Sink& sink) override {
    Feedback exact;
    net().sweep(trace.activity, {{net().output_node(), objective.gradient(trace.output)}}, exact,
                &sink,
                {.scale = objective.scale(), .release = true, .order = SweepOrder::SignalFirst});
    return {};
  }
};

/// The same of a network of two layers in products of matrices, with momentum and decay of its own.
struct ByHand : Learner {
  double lr, momentum, decay;
  ByHand(double lr, double momentum, double decay) : lr(lr), momentum(momentum), decay(decay) {}

  void step(Step& step) override {
    const std::vector<ParamPtr> p = net().params();  // W1, b1, W2, b2
    const Tensor h = at::tanh(at::addmm(p[1]->value, step.inputs.flatten(1), p[0]->value.t())),
                 y = at::addmm(p[3]->value, h, p[2]->value.t());
    const Tensor last = objective(step).gradient(y) / static_cast<double>(step.batch());
    move(2, p[2], last.t().mm(h));
    move(3, p[3], last.sum(0));
    const Tensor first = last.mm(p[2]->value) * (1 - h * h);
    move(0, p[0], first.t().mm(step.inputs.flatten(1)));
    move(1, p[1], first.sum(0));
    step.output = y;
  }

 private:
  void move(size_t i, const ParamPtr& param, Tensor gradient) {
    gradient = gradient + decay * param->value;
    average_.resize(4);
    average_[i] = average_[i].defined() ? momentum * average_[i] + gradient : gradient;
    param->value.sub_(average_[i], lr);
  }
  std::vector<Tensor> average_;
};

double largest_difference(const Graph& a, const Graph& b) {
  double out = 0;
  for (size_t i = 0; i < a.params().size(); ++i)
    out = std::max(out, (a.params()[i]->value - b.params()[i]->value).abs().max().item<double>());
  return out;
}

RunSettings semi_implicit_settings() {
  RunSettings s;
  s.data_options = {{"glyphs.train", "120"}, {"glyphs.test", "10"}};
  s.optimizer = {.kind = "momentum", .lr = 0.3, .weight_decay = 0.02};
  s.net = "mlp:784-15-10:tanh";
  s.loss = "cross-entropy";
  s.dtype = "float64";
  s.batch = 40;
  s.epochs = 2;
  s.threads = 1;
  s.probe_every = 0;
  return s;
}

Graph trained_by(Learner& rule, const RunSettings& s) {
  const auto data = load_data(s);
  const auto loss = make_loss(s.loss);
  Graph net = build_network(s, *data);
  Trainer(net, rule, *loss, *data, s).run();
  return net;
}

TEST(ProofSemiImplicit, ATrainerStepsEachLayerOnceBeforeTheCreditGoesOn) {
  at::NoGradGuard no_grad;
  const RunSettings s = semi_implicit_settings();
  SemiImplicit rule;
  ByHand by_hand(s.optimizer.lr, s.optimizer.effective_momentum(), s.optimizer.weight_decay);
  const auto explicit_rule = make_rule("backprop");
  const Graph found = trained_by(rule, s), expected = trained_by(by_hand, s),
              usual = trained_by(*explicit_rule, s);
  EXPECT_LT(largest_difference(found, expected), 1e-12);
  EXPECT_GT(largest_difference(found, usual), 1e-4) << "the order of steps and credit matters";
}

/// All optimizers: a step of all layers at once is the same as one of each, where no credit crosses
/// a weight that has moved.
TEST(ProofSemiImplicit, OneLayerIsPlainBackprop) {
  at::NoGradGuard no_grad;
  for (const char* kind : {"sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"}) {
    RunSettings s = semi_implicit_settings();
    s.optimizer = {.kind = kind, .lr = 0.01, .weight_decay = 0.02};
    s.net = "mlp:784-10:tanh";
    SemiImplicit rule;
    const auto usual = make_rule("backprop");
    const Graph before = build_network(s, *load_data(s)), found = trained_by(rule, s),
                expected = trained_by(*usual, s);
    EXPECT_GT(largest_difference(found, before), 1e-3) << kind;
    EXPECT_LT(largest_difference(found, expected), 1e-12) << kind;
  }
}

TEST(ProofSemiImplicit, WhatNeedsAllGradientsOfAStepIsRefusedBeforeTraining) {
  const auto refused = [](RunSettings s, const std::string& what) {
    const auto data = load_data(s);
    const auto loss = make_loss(s.loss);
    Graph net = build_network(s, *data);
    SemiImplicit rule;
    try {
      Trainer(net, rule, *loss, *data, s);
      ADD_FAILURE() << "nothing was refused: " << what;
    } catch (const Refusal& refusal) {
      EXPECT_NE(std::string(refusal.what()).find(what), std::string::npos) << refusal.what();
      EXPECT_FALSE(refusal.instead.empty());
    }
  };
  RunSettings s = semi_implicit_settings();
  s.optimizer.clip_norm = 1;
  refused(s, "clip-norm");
  s = semi_implicit_settings();
  s.direction = "recursive-least-squares";
  refused(s, "direction");
}

}  // namespace
}  // namespace altprop::proof
