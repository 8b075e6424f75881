// Proof of the contract: deep feedback control in closed form (Meulemans, Tristany Farinha, Garcia
// Ordonez, Aceituno, Sacramento, Grewe 2021, arXiv 2106.07887; its steady state, linearised):
//
//   (J Q + alpha I) u = -lambda dLoss/dr,   v_i = W_i r_{i-1} + b_i + Q_i u,   r_i = phi(v_i)
//   credit of v_i: -2 (phi(v_i) - phi(W_i r_{i-1} + b_i)),   presynaptic: the controlled r_{i-1}
//
// and feedback weights that learn from noise in a pass of their own, by an optimizer of their own,
//
//   Q_i <- Q_i + lr (1 / (sigma^2 B) xi_i^T e - beta Q_i),   e = r(noisy) - r
//
// Awkward because it needs the Jacobian of the output by every layer, another input than the
// forward pass saw, and a second kind of weights with settings and passes of their own.
#include <gtest/gtest.h>

#include <map>

#include "altprop/network/gradients.h"
#include "altprop/train/trainer.h"
#include "proof/toy.h"

namespace altprop::proof {
namespace {

struct DeepFeedbackControl : Rule {
  double lambda = 0.1, alpha = 0.01, sigma = 0.02, beta = 1;
  /// An affine operation, the activation behind it (none behind the last) and its feedback weights.
  struct Layer {
    const Node *affine, *bend;
    ParamPtr q;
  };
  std::vector<Layer> layers;
  Tensor control;  ///< of the last batch

  void set_up() override {
    const int64_t outputs = net().node(net().output_node()).spec.numel();
    for (const Node& node : net().nodes()) {
      if (!node.op) continue;
      if (node.op->traits().affine) {
        layers.push_back({&node, nullptr, nullptr});
      } else {
        layers.back().bend = &node;
      }
    }
    for (Layer& layer : layers) {
      const bool last = &layer == &layers.back();
      const Tensor drawn =
          last ? at::eye(outputs, net().options())
               : Stream(seed())
                         .at("dfc")
                         .at(layer.affine->name)
                         .normal({layer.affine->spec.numel(), outputs}, net().options()) *
                     0.3;
      layer.q = std::make_shared<Param>(layer.affine->name + ".control", drawn);
      layer.q->group = "control";
    }
  }
  std::vector<ParamPtr> owned() override {
    std::vector<ParamPtr> out;
    for (const Layer& layer : layers) out.push_back(layer.q);
    return out;
  }
  std::vector<GroupSettings> groups(const OptimizerSettings&, const Schedule&) const override {
    return {{"control", {.kind = "sgd", .lr = 0.02}}};
  }
  std::vector<std::string> passes(int64_t, int64_t) const override { return {"control", "train"}; }

  std::vector<std::string> done;
  void pass_done(const std::string& pass) override { done.push_back(pass); }

  void step(Step& s) override {
    if (s.pass == "train") return Rule::step(s);
    // One noisy sweep: what noise in a layer does to the output.
    const TracePtr plain = forward(s);
    std::vector<Tensor> noise;
    Tensor h = s.inputs;
    for (const Layer& layer : layers) {
      const Tensor v = affine(layer, h);
      noise.push_back(s.draws.at(layer.affine->name).normal(v.sizes(), v.options()) * sigma);
      h = bent(layer, v + noise.back());
    }
    const Tensor e = h - plain->output;
    const double scale = -1 / (sigma * sigma * static_cast<double>(s.batch()));
    for (size_t l = 0; l < layers.size(); ++l) {
      s.updater().take(ParamSignal{layers[l].q.get(), noise[l].t().mm(e), scale});
      s.updater().take(ParamSignal{layers[l].q.get(), layers[l].q->value, beta});
    }
    s.updater().apply("control");
  }

 protected:
  Credits emit(Trace& trace, const Objective& objective, Wanted, Sink& sink) override {
    const int64_t batch = trace.look.rows(), outputs = trace.output.size(1);
    const std::vector<Tensor> jacobian = jacobians(trace.activity, trace.output);
    Tensor matrix =
        at::eye(outputs, trace.output.options()).mul(alpha).expand({batch, outputs, outputs});
    for (size_t l = 0; l < layers.size(); ++l)
      matrix = matrix + at::matmul(jacobian[l], layers[l].q->value);
    control = at::linalg_solve(matrix, objective.gradient(trace.output).mul(-lambda).unsqueeze(2))
                  .squeeze(2);
    Tensor h = trace.look.inputs;
    for (const Layer& layer : layers) {
      const Tensor own = affine(layer, h), controlled = own + control.mm(layer.q->value.t());
      const Site site{*layer.affine, net().site_of(layer.affine->id)};
      LocalSignal signal{layer.affine->op.get(), &site, nullptr,
                         (bent(layer, controlled) - bent(layer, own)) * -2, objective.scale()};
      signal.input = h;
      sink.take(signal);
      h = bent(layer, controlled);
    }
    return {};
  }

 private:
  static Tensor affine(const Layer& layer, const Tensor& h) {
    Saved scratch;
    return layer.affine->op->forward({&h, 1}, scratch, {});
  }
  static Tensor bent(const Layer& layer, const Tensor& v) {
    Saved scratch;
    return layer.bend ? layer.bend->op->forward({&v, 1}, scratch, {}) : v;
  }

  /// Per layer d output / d v, [B, outputs, units]: one sweep whose cotangents have a row per
  /// output and sample.
  std::vector<Tensor> jacobians(Activity& activity, const Tensor& output) const {
    const int64_t batch = output.size(0), outputs = output.size(1);
    struct Recorder : Feedback {
      std::map<std::string, Tensor> credit;
      Tensor arrive(const Site& site, Tensor cot) override {
        credit[site.name()] = cot;
        return cot;
      }
    } recorder;
    const Tensor seeds = at::eye(outputs, output.options()).repeat_interleave(batch, 0);
    Gradients none = Gradients::none();
    net().sweep(activity, {{net().output_node(), seeds}}, recorder, &none);
    std::vector<Tensor> out;
    for (const Layer& layer : layers)
      out.push_back(
          recorder.credit.at(layer.affine->name).view({outputs, batch, -1}).transpose(0, 1));
    return out;
  }
};

Tensor filled(int64_t rows, int64_t columns, int l, double s) {
  return (at::arange(1, rows * columns + 1, at::kDouble) + 10 * l)
      .sin()
      .mul(s)
      .view({rows, columns});
}

/// The worked example: 3-4-4-2, tanh, feedback weights the products of the forward weights.
struct Worked {
  Graph net = toy_net({3, 4, 4, 2}, "tanh", 1);
  std::unique_ptr<Loss> loss = make_loss("squared-error");
  DeepFeedbackControl rule;
  Tensor x = at::tensor({.5, -1., .25, -.3, .8, 1.}, at::kDouble).view({2, 3}),
         t = at::tensor({1., -1., .2, .4}, at::kDouble).view({2, 2});

  Worked() {
    const auto p = net.params();
    for (int l = 0; l < 3; ++l) {
      const auto i = static_cast<size_t>(2 * l);
      p[i]->value.copy_(filled(p[i]->value.size(0), p[i]->value.size(1), l, 0.6));
      p[i + 1]->value.copy_(filled(p[i + 1]->value.size(0), 1, l + 5, 0.1).flatten());
    }
    rule.bind(net, *loss, 1);
    rule.layers[1].q->value.copy_(p[4]->value.t());
    rule.layers[0].q->value.copy_(p[4]->value.mm(p[2]->value).t());
  }
};

TEST(ProofDeepFeedbackControl, MeetsTheWorkedExample) {
  Worked w;
  Step step = Step::look_at({.inputs = w.x}, w.t);
  Gradients sink;
  w.rule.assign(step, sink);
  const Tensor u =
      at::tensor({0.0427761596, -0.0482685991, 0.0194838686, 0.0204989799}, at::kDouble);
  EXPECT_LT((w.rule.control.flatten() - u).abs().max().item<double>(), 1e-10);
  const Tensor row = at::tensor({0.0066447815, -0.0137178034, 0.0008600092}, at::kDouble);
  EXPECT_LT((sink.of_param(*w.net.params()[0])[0] - row).abs().max().item<double>(), 1e-10);
  // No error, no control: nothing is to be learnt.
  Gradients none;
  Step content = Step::look_at({.inputs = w.x}, step.output.clone());
  w.rule.assign(content, none);
  for (const auto& [param, gradient] : none.all())
    EXPECT_EQ(gradient.abs().max().item<double>(), 0) << param->name;
}

/// Samples have controls of their own.
TEST(ProofDeepFeedbackControl, DoesNotMixSamples) {
  Worked w;
  Gradients whole, parts;
  Step step = Step::look_at({.inputs = w.x}, w.t);
  w.rule.assign(step, whole);
  for (const int64_t row : {0, 1}) {
    Step one = Step::look_at(step.part(row, 1), w.t.narrow(0, row, 1));
    w.rule.assign(one, parts);
  }
  for (const ParamPtr& p : w.net.params())
    EXPECT_LT((whole.of_param(*p) - parts.of_param(*p)).abs().max().item<double>(), 1e-15);
}

TEST(ProofDeepFeedbackControl, FeedbackWeightsLearnByAnOptimizerOfTheirOwn) {
  Graph net = toy_net({6, 10, 8, 3}, "tanh", 4);
  DeepFeedbackControl rule;
  OwnUpdater updater({.kind = "momentum", .lr = 0.5});
  const auto loss = make_loss("cross-entropy");
  const ToyData data = toy_data(64, 6, 5);
  const ToyRun run = train_toy(net, rule, *loss, updater, data, 300);
  EXPECT_EQ(updater.steps("control"), 300);
  EXPECT_EQ(updater.steps(), 300);
  test::expect_learnt_at_most("loss", run.after / run.before, 0.8);
  // What noise teaches is the mean Jacobian of the output, transposed.
  Activity activity;
  net.run(data.inputs, activity, {Mode::Train});
  Tensor j = at::zeros({10, 3}, at::kDouble);
  for (int64_t k = 0; k < 3; ++k) {
    struct First : Feedback {
      Tensor credit;
      Tensor arrive(const Site& site, Tensor cot) override {
        if (site.name() == "linear1") credit = cot;
        return cot;
      }
    } first;
    const Tensor seed = at::zeros({64, 3}, at::kDouble);
    seed.select(1, k).fill_(1);
    Gradients none = Gradients::none();
    net.sweep(activity, {{net.output_node(), seed}}, first, &none);
    j.select(1, k).copy_(first.credit.mean(0));
  }
  const Tensor q = rule.layers[0].q->value;
  EXPECT_GT(at::cosine_similarity(q.flatten(), j.flatten(), 0).item<double>(), 0.9);
}

TEST(ProofDeepFeedbackControl, ATrainerGivesItsGroupAndItsPasses) {
  Graph net = toy_net({6, 10, 3}, "tanh", 4);
  DeepFeedbackControl rule;
  const auto loss = make_loss("cross-entropy");
  const ToyData toy = toy_data(40, 6, 5);
  const data::Splits data = data::from_tensors(toy.inputs.to(at::kFloat), toy.targets,
                                               toy.inputs.to(at::kFloat), toy.targets);
  RunSettings s;
  s.epochs = 2;
  s.batch = 20;
  s.dtype = "float64";
  s.probe_every = 0;
  Trainer trainer(net, rule, *loss, data, s);
  EXPECT_EQ(trainer.updater().settings("control").kind, "sgd");
  EXPECT_EQ(trainer.updater().settings("control").lr, 0.02);
  EXPECT_EQ(trainer.updater().settings().kind, s.optimizer.kind);
  trainer.run();
  EXPECT_EQ(rule.done, (std::vector<std::string>{"control", "train", "control", "train"}));
  EXPECT_EQ(trainer.updater().steps("control"), 4);
  EXPECT_EQ(trainer.updater().steps(), 4);
}

}  // namespace
}  // namespace altprop::proof
