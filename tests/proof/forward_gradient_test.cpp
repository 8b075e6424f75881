// Proof rule: forward gradient (Baydin, Pearlmutter, Syme, Wood, Torr 2022, arXiv 2202.08587):
// g = (dL . v) v for random v, by a forward-mode pass alone. Awkward because no credit travels: the
// weight-perturbed form makes parameter signals, the activity-perturbed one (Ren, Kornblith, Liao,
// Hinton 2022, arXiv 2210.03310) local signals whose credits are drawn, and both are wanted inside
// of graphs inside of graphs.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <map>

#include "altprop/network/gradients.h"
#include "altprop/network/init.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"
#include "altprop/rules/registry.h"
#include "support/device.h"

namespace altprop::forward_gradient {
namespace {

using Directions = std::map<const Param*, Tensor>;

struct ForwardGradient : Rule {
  bool activities = false;
  /// Directions of the step in progress; drawn where it is null.
  const Directions* given = nullptr;

  Credits emit(Trace& trace, const Objective& objective, Wanted, Sink& sink) override {
    const Tensor credit = objective.gradient(trace.output);
    activities ? by_activities(trace, credit, objective.scale(), sink)
               : by_weights(trace, credit, objective.scale(), sink);
    return {};
  }

  void by_weights(const Trace& pass, const Tensor& credit, double scale, Sink& sink) {
    Directions v;
    for (const ParamPtr& p : net().params())
      v[p.get()] =
          given ? given->at(p.get())
                : pass.look.draws.at("v").at(p->name).normal(p->value.sizes(), p->value.options());
    const Tensor tangent =
        net().push(pass.activity, Push{.params = [&](const Param& p) { return v.at(&p); }});
    const double slope = (tangent * credit).sum().item<double>();
    for (const ParamPtr& p : net().params())
      sink.take(ParamSignal{p.get(), v.at(p.get()), slope * scale});
  }

  void by_activities(const Trace& pass, const Tensor& credit, double scale, Sink& sink) {
    const auto perturb = [&](const Site& site, const Saved& saved) {
      const Op& op = *site.node.op;
      if (op.params().empty()) return;
      std::vector<int64_t> shape = {pass.look.rows()};
      shape.insert(shape.end(), site.node.spec.shape.begin(), site.node.spec.shape.end());
      const Tensor u = pass.look.draws.at("u").at(site.name()).at(site.use).normal(
          shape, pass.look.inputs.options());
      const Tensor tangent =
          net().push(pass.activity, Push{.sites = {{site.number, site.use, u}}});
      const Tensor slope = (tangent * credit).flatten(1).sum(1, true);  // each sample's own
      sink.take(LocalSignal{&op, &site, &saved, u * slope.view({-1, 1}), scale});
    };
    net().visit(pass.activity, {.leaf = perturb});
  }
};

/// With a block of two layers inside, at two places, or all of it flat.
Graph small_net(bool nested) {
  auto block = std::make_shared<Graph>();
  int h = block->add(linear(3), {block->input({{3}})}, "a");
  block->output(block->add(linear(3), {block->add(activation("tanh"), {h}, "bend")}, "b"));
  Graph net;
  h = net.add(linear(3), {net.input({{4}})}, "stem");
  h = net.add(block, {h}, "one");
  h = net.add(block, {h}, "again");
  net.output(net.add(linear(2), {h}, "out"));
  Graph out = nested ? std::move(net) : net.flattened();
  out.to(test::test_device(), at::kDouble);
  initialise(out, Initialiser("xavier"), Stream(1).at("init"));
  return out;
}

struct Setting {
  Graph net;
  std::unique_ptr<Loss> loss = make_loss("squared-error");
  Tensor x = Stream(2).at("x").normal({5, 4}, test::on_device(at::kDouble)),
         y = Stream(2).at("y").normal({5, 2}, test::on_device(at::kDouble));

  explicit Setting(bool nested) : net(small_net(nested)) {}
  Step step(int64_t number) {
    return Step::look_at({.inputs = x, .draws = Stream(3).at(number)}, y);
  }
  std::vector<Tensor> exact() {
    Gradients sink;
    ForwardGradient rule;
    rule.bind(net, *loss, 1);
    const Step s = step(0);
    rule.reference(s, rule.objective(s), sink);
    return sink.of_params(net.params());
  }
};

TEST(ProofForwardGradient, OverABasisItIsTheGradientInsideOfBlocksToo) {
  at::NoGradGuard no_grad;
  for (const bool nested : {false, true}) {
    Setting s(nested);
    const std::vector<Tensor> exact = s.exact();
    Gradients sum;
    ForwardGradient rule;
    rule.bind(s.net, *s.loss, 1);
    for (const ParamPtr& p : s.net.params())
      for (int64_t i = 0; i < p->value.numel(); ++i) {
        Directions basis;
        for (const ParamPtr& q : s.net.params()) basis[q.get()] = at::zeros_like(q->value);
        basis.at(p.get()).view(-1)[i] = 1;
        rule.given = &basis;
        Step step = s.step(0);
        rule.assign(step, sum);
      }
    const std::vector<Tensor> found = sum.of_params(s.net.params());
    for (size_t i = 0; i < exact.size(); ++i)
      EXPECT_TRUE(at::allclose(found[i], exact[i], 1e-10, 1e-12)) << s.net.params()[i]->name;
  }
}

/// Every entry's mean over draws, less the exact gradient, in standard errors of the mean.
double worst_bias(Setting& s, bool activities, int draws) {
  const std::vector<Tensor> exact = s.exact();
  std::vector<Tensor> sum(exact.size()), squares(exact.size());
  ForwardGradient rule;
  rule.bind(s.net, *s.loss, 1);
  rule.activities = activities;
  for (int n = 0; n < draws; ++n) {
    Gradients sink;
    Step step = s.step(n);
    rule.assign(step, sink);
    const std::vector<Tensor> g = sink.of_params(s.net.params());
    for (size_t i = 0; i < g.size(); ++i) {
      sum[i] = sum[i].defined() ? sum[i] + g[i] : g[i].clone();
      squares[i] = squares[i].defined() ? squares[i] + g[i] * g[i] : g[i] * g[i];
    }
  }
  double worst = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    const Tensor mean = sum[i] / draws, error = ((squares[i] / draws - mean * mean) / draws).sqrt();
    worst = std::max(worst, ((mean - exact[i]) / error).abs().max().item<double>());
  }
  return worst;
}

/// A block learns what its layers would outside of it, to the last bit: names and draws are the same.
TEST(ProofForwardGradient, ActivitiesInsideOfBlocksArePerturbedAsThoseOfTheFlatNetwork) {
  at::NoGradGuard no_grad;
  Setting nested(true), flat(false);
  std::vector<std::vector<Tensor>> found;
  for (Setting* s : {&nested, &flat}) {
    ForwardGradient rule;
    rule.bind(s->net, *s->loss, 1);
    rule.activities = true;
    Gradients sink;
    Step step = s->step(1);
    rule.assign(step, sink);
    found.push_back(sink.of_params(s->net.params()));
  }
  for (size_t i = 0; i < found[0].size(); ++i)
    EXPECT_TRUE(at::allclose(found[0][i], found[1][i], 1e-12, 1e-14)) << i;
}

TEST(ProofForwardGradient, IsUnbiased) {
  at::NoGradGuard no_grad;
  // The largest of some 60 entries: 3 is expected, and a factor of 0.9 would make 10 and more.
  Setting nested(true), flat(false);
  EXPECT_LT(worst_bias(nested, false, 4000), 5);
  EXPECT_LT(worst_bias(nested, true, 4000), 5);
  EXPECT_LT(worst_bias(flat, true, 4000), 5);
}

}  // namespace
}  // namespace altprop::forward_gradient
