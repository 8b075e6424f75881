// Proof of the contract: layers of units that fire once or never, whose activity is a time (H.
// Mostafa, "Supervised learning based on temporal coding in spiking neural networks", 2017, arXiv
// 1606.08165). With z = exp(t) and C the inputs that come before the unit fires,
//
//   z_out = sum_C w z / (sum_C w - 1),   never if there is no such C with sum_C w > 1
//   dz_out/dw_i = (z_i - z_out) / (sum_C w - 1),   dz_out/dz_i = w_i / (sum_C w - 1)
//
// and a penalty on weights, K sum_units max(0, 1 - sum w), that keeps units alive. Awkward because
// an infinite value is legal, because its credit is exactly zero, because the loss is one of times,
// and because the penalty is no operation's credit.
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/network/gradients.h"
#include "altprop/network/right.h"
#include "altprop/network/sites.h"
#include "altprop/rules/registry.h"
#include "altprop/train/trainer.h"
#include "proof/toy.h"

namespace altprop::proof {
namespace {

class FiringOnce : public Op {
 public:
  explicit FiringOnce(int64_t units) : units_(units) {}
  std::string type() const override { return "firing-once"; }
  Takes takes(int) const override { return {.kinds = {Kind::SpikeTime}}; }
  Spec infer(std::span<const Spec>) const override {
    return {.shape = {units_}, .kind = Kind::SpikeTime};
  }
  void build(std::span<const Spec> inputs) override {
    weight_ = std::make_shared<Param>("weight", at::zeros({units_, inputs[0].shape[0]}));
  }
  std::vector<ParamPtr> params() const override { return {weight_}; }
  ParamPtr weight() const override { return weight_; }

  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const auto [t, order] = inputs[0].sort(1);
    const Tensor z = t.exp();  // of a silent input infinite, and never among the causes
    const Tensor w = weight_->value.index_select(1, order.flatten())
                         .view({units_, order.size(0), -1})
                         .transpose(0, 1);  // [B, units, inputs], in the order of arrival
    const Tensor here = at::where(z.isinf(), at::zeros_like(z), z).unsqueeze(1);
    const Tensor sum = w.cumsum(2), candidate = (w * here).cumsum(2) / (sum - 1);
    const Tensor next =
        at::cat({z.narrow(1, 1, z.size(1) - 1), at::full({z.size(0), 1}, INFINITY, z.options())}, 1)
            .unsqueeze(1);
    const Tensor fires = sum.gt(1)
                             .logical_and(candidate.ge(z.unsqueeze(1)))
                             .logical_and(candidate.le(next))
                             .logical_and(z.isfinite().unsqueeze(1));
    const Tensor any = fires.any(2), last = fires.to(at::kInt).argmax(2, true);
    const Tensor out =
        at::where(any, candidate.gather(2, last).squeeze(2), at::full({}, INFINITY, z.options()));
    const Tensor among = at::arange(z.size(1), last.options()).view({1, 1, -1}).le(last);
    // Back in the order of the inputs.
    const Tensor causes = at::zeros_like(among).scatter_(2, order.unsqueeze(1).expand_as(among),
                                                         among.logical_and(any.unsqueeze(2)));
    saved.t = {inputs[0].exp(), out, causes, sum.gather(2, last).squeeze(2) - 1};
    return out.log();
  }

  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const override {
    const Tensor& w = substitute ? *substitute : weight_->value;
    const Tensor share = by_cause(saved, cot);  // [B, units, inputs]
    const Tensor z = match_rows(saved.t[0], cot);
    return ((share * w).sum(1) * at::where(z.isinf(), at::zeros_like(z), z));
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    const Tensor z = match_rows(saved.t[0], tangent), out = match_rows(saved.t[1], tangent);
    const Tensor dz = at::where(z.isinf(), at::zeros_like(z), z) * tangent;
    const Tensor causes = match_rows(saved.t[2], tangent), left = match_rows(saved.t[3], tangent);
    return at::where(out.isinf(), at::zeros_like(out),
                     (causes * weight_->value * dz.unsqueeze(1)).sum(2) / left / out);
  }
  void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store, const Tensor*,
                  const Shared*) const override {
    Slot* slot = store.of(*weight_);
    if (!slot) return;
    const Tensor share = by_cause(saved, cot), z = match_rows(saved.t[0], cot).unsqueeze(1),
                 out = match_rows(saved.t[1], cot).unsqueeze(2);
    slot->add(at::where(share.eq(0), at::zeros_like(share), share * (z - out)).sum(0), scale);
  }

 private:
  /// Credit of a unit's time as that of its z, shared out to its causes and divided by what their
  /// weights are above 1.
  Tensor by_cause(const Saved& saved, const Tensor& cot) const {
    const Tensor out = match_rows(saved.t[1], cot), left = match_rows(saved.t[3], cot);
    const Tensor of_z = at::where(out.isinf(), at::zeros_like(cot), cot / out / left);
    return of_z.unsqueeze(2) * match_rows(saved.t[2], cot);
  }

  int64_t units_;
  ParamPtr weight_;
};

/// Softmax over how early the units fire; one that never does has lost and learns nothing.
struct Race : Loss {
  static constexpr double kLate = 8;
  static Tensor logits(const Tensor& times) { return times.clamp_max(kLate).neg(); }
  std::string name() const override { return "race"; }
  std::string help() const override { return "cross-entropy of who fires first"; }
  bool takes(Kind kind) const override { return kind == Kind::SpikeTime; }
  Tensor value(const Tensor& output, const Tensor& target) const override {
    return at::log_softmax(logits(output), 1).gather(1, target.unsqueeze(1)).squeeze(1).neg();
  }
  Tensor gradient(const Tensor& output, const Tensor& target) const override {
    const Tensor credit = as_rows(target, logits(output)) - at::softmax(logits(output), 1);
    return at::where(output.lt(kLate), credit, at::zeros_like(credit));
  }
  Tensor right(const Tensor& output, const Tensor& target) const override {
    return right::earliest(output, target);
  }
  Tensor link(const Tensor& output) const override { return at::softmax(logits(output), 1); }
};

struct KeptAlive : Rule {
  double strength = 0.5;
  /// Sum of a unit's weights below which it is helped: at 1 it fires no more, and just above it so
  /// late that it learns nothing.
  double enough = 1.5;

  Tensor penalty() const {
    Tensor sum = at::zeros({}, net().options());
    for (const ParamPtr& w : net().params())
      sum = sum + (enough - w->value.sum(1)).clamp_min(0).sum() * strength;
    return sum;
  }

 protected:
  Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override {
    Feedback exact;
    Credits out = sweep_back(trace, objective, wanted, exact, sink);
    for (const ParamPtr& w : net().params())
      sink.take(ParamSignal{
          w.get(), w->value.sum(1, true).lt(enough).to(w->value.scalar_type()).expand_as(w->value),
          -strength});
    return out;
  }
};

Graph spiking_net(const std::vector<int64_t>& widths, double spread, uint64_t seed) {
  Graph net;
  int x = net.input({.shape = {widths[0]}, .kind = Kind::SpikeTime});
  for (size_t l = 1; l < widths.size(); ++l)
    x = net.add(std::make_shared<FiringOnce>(widths[l]), {x}, "layer" + std::to_string(l));
  net.output(x);
  net.to(at::kCPU, at::kDouble);
  for (const ParamPtr& w : net.params()) {
    const double fan = static_cast<double>(w->value.size(1));
    w->value.copy_(Stream(seed).at(w->name).normal(w->value.sizes(), at::kDouble) * spread +
                   1.6 / fan);
  }
  return net;
}

Tensor times(int64_t rows, int64_t inputs, uint64_t seed) {
  Tensor t = Stream(seed).uniform(0, 1.5, {rows, inputs}, at::kDouble);
  return t.masked_fill(Stream(seed + 1).bernoulli(0.1, t.sizes(), at::kDouble).to(at::kBool),
                       INFINITY);
}

TEST(ProofFirstSpike, GradientsOfTimesAndOfThePenaltyAreDerivatives) {
  Graph net = spiking_net({6, 7, 3}, 0.35, 2);
  const Race loss;
  KeptAlive rule;
  rule.bind(net, loss, 1);
  const Tensor x = times(10, 6, 4), y = at::arange(10).remainder(3);
  Step step = Step::look_at({.inputs = x}, y);
  Gradients sink;
  rule.assign(step, sink);
  Activity activity;
  net.run(x, activity, {}, {.keep_values = true});
  const Tensor hidden = activity.values[static_cast<size_t>(net.find("layer1"))];
  ASSERT_GT(hidden.isinf().sum().item<int64_t>(), 3) << "some are silent";
  ASSERT_LT(hidden.isinf().sum().item<int64_t>(), 60);
  const auto objective = [&] {
    return (loss.value(net.predict(x), y).mean() + rule.penalty()).item<double>();
  };
  for (const ParamPtr& w : net.params())
    for (int64_t i = 0; i < w->value.numel(); ++i) {
      Tensor flat = w->value.view(-1);
      const double h = 1e-6, before = flat[i].item<double>();
      flat[i] = before + h;
      const double up = objective();
      flat[i] = before - h;
      const double down = objective();
      flat[i] = before;
      EXPECT_NEAR(sink.of_param(*w).view(-1)[i].item<double>(), (up - down) / (2 * h), 1e-6)
          << w->name << " " << i;
    }
}

TEST(ProofFirstSpike, LearnsAndWakesSilentUnits) {
  Graph net = spiking_net({6, 12, 3}, 0.3, 2);
  for (const ParamPtr& w : net.params()) w->value.narrow(0, 0, 1).mul_(0.2);  // one sleeps in each
  const Race loss;
  KeptAlive rule;
  const ToyData toy = toy_data(120, 6, 5);
  const data::Splits data =
      data::from_tensors(toy.inputs.sigmoid().neg().add(1).mul(2).to(at::kFloat), toy.targets,
                         toy.inputs.sigmoid().neg().add(1).mul(2).to(at::kFloat), toy.targets);
  RunSettings s;
  s.epochs = 200;
  s.batch = 30;
  s.dtype = "float64";
  s.optimizer.kind = "adam";
  s.optimizer.lr = 0.02;
  s.probe_every = 15;
  s.threads = 1;
  Trainer trainer(net, rule, loss, data, s);
  const auto silent = [&] {
    Activity activity;
    net.run(data.test.inputs.to(at::kDouble), activity, {}, {.keep_values = true});
    const Tensor& t = activity.values[static_cast<size_t>(net.find("layer1"))];
    return t.select(1, 0).isinf().sum().item<int64_t>();
  };
  EXPECT_EQ(silent(), 120);
  EXPECT_EQ(trainer.run(), "done") << "what never fires has not diverged";
  EXPECT_LT(silent(), 60);
  const Scores after = trainer.evaluate(data.test);
  // Half of the samples are of one class: who knows no more is right there, with a loss of 1.04.
  test::expect_learnt_at_most("loss", after.loss(), 0.95);
  test::expect_learnt_at_least("accuracy", *after.accuracy(), 0.65);
}

}  // namespace
}  // namespace altprop::proof
