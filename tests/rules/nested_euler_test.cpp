// Rules inside of a block that evaluates its parts several times: they learn as in the network unrolled by hand.
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"
#include "altprop/ode/block.h"
#include "rules/nested.h"

namespace altprop::nested {
namespace {

/// z <- z + h f(z), `steps` times (Euler 1768): a composite that is no graph.
class EulerBlock : public Op {
 public:
  EulerBlock(std::shared_ptr<Graph> f, int steps, double h)
      : f_(std::move(f)), steps_(steps), h_(h) {}
  std::string type() const override { return "euler"; }
  Spec infer(std::span<const Spec> inputs) const override { return f_->infer(inputs); }
  const Graph* parts() const override { return f_.get(); }
  /// Each step is a use of the parts.
  void visit_parts(const Saved& saved, const Visit& visit) const override {
    for (int k = 0; k < steps_; ++k)
      f_->visit(stages(saved)[static_cast<size_t>(k)],
                {visit.leaf, visit.around, visit.first_site, k});
  }
  Tensor jvp_sites(const Saved& saved, std::span<const SiteTangent> from) const override {
    return push(saved, {}, from);
  }
  std::vector<ParamPtr> params() const override { return f_->params(); }
  Traits traits() const override {
    Traits out = f_->traits();
    out.reuses = true;
    return out;
  }

  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override {
    auto stages = std::make_shared<std::vector<Activity>>(static_cast<size_t>(steps_));
    Tensor z = inputs[0];
    const Pass own{
        .mode = pass.mode, .draws = pass.draws, .ids = pass.ids, .first_row = pass.first_row};
    for (Activity& stage : *stages) z = z + h_ * f_->run(z, stage, own);
    saved.extra = stages;
    return z;
  }
  Credits credit(const Saved& saved, const Tensor& cot, Wanted, const Tensor*,
                 Sweep& sweep) const override {
    Tensor a = cot;
    const char wanted = 1;
    for (int k = steps_; k-- > 0;) {
      Sweep stage = sweep;
      stage.use = k;
      a = a + f_->sweep(stages(saved)[static_cast<size_t>(k)], {{f_->output_node(), h_ * a}},
                        stage, {&wanted, 1})[0];
    }
    return {a};
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    Feedback exact;
    Sweep sweep{exact};
    const char wanted = 1;
    return credit(saved, cot, {&wanted, 1}, nullptr, sweep)[0];
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    return push(saved, tangent, {});
  }

 private:
  static std::vector<Activity>& stages(const Saved& saved) {
    return *std::any_cast<const std::shared_ptr<std::vector<Activity>>&>(saved.extra);
  }
  /// @param moved tangent of the input; undefined: it stays
  Tensor push(const Saved& saved, Tensor moved, std::span<const SiteTangent> from) const {
    for (int k = 0; k < steps_; ++k) {
      Push step;
      if (moved.defined()) step.inputs = {moved};
      for (const SiteTangent& one : from)
        if (one.use == k) step.sites.push_back(one);
      const Tensor slope = f_->push(stages(saved)[static_cast<size_t>(k)], step);
      if (!slope.defined()) continue;
      moved = moved.defined() ? moved + h_ * slope : h_ * slope;
    }
    return moved;
  }

  std::shared_ptr<Graph> f_;
  int steps_;
  double h_;
};

std::shared_ptr<Graph> right_hand_side() {
  auto f = std::make_shared<Graph>();
  const int z = f->input({{6}});
  f->output(f->add(linear(6), {f->add(activation("tanh"), {f->add(linear(8), {z}, "a")})}, "b"));
  return f;
}

/// stem - Euler block of 3 steps - out, as a block or unrolled by hand.
Graph euler_net(bool unrolled) {
  Graph net;
  const auto f = right_hand_side();
  int z = net.add(linear(6), {net.input({{9}})}, "stem");
  if (unrolled) {
    for (int k = 0; k < 3; ++k) {
      const int step = net.add(f, {z}, k == 0 ? "ode" : "ode" + std::to_string(k));
      z = net.add(add(2), {z, step}, "z" + std::to_string(k));
    }
  } else {
    z = net.add(std::make_shared<EulerBlock>(f, 3, 1.0), {z}, "ode");
  }
  net.output(net.add(linear(5), {z}, "out"));
  pathways::ready(net);
  return net;
}

class InsideEuler : public ::testing::TestWithParam<RuleInside> {};

TEST_P(InsideEuler, PartsLearnAsTheUnrolledNetworkDoes) {
  at::NoGradGuard no_grad;
  const auto& [name, rule, options] = GetParam();
  Graph net = euler_net(false), unrolled = euler_net(true);
  const auto loss = make_loss("cross-entropy");
  const pathways::Batch batch(net);
  const OptimizerSettings settings{.kind = "momentum", .lr = 0.05, .weight_decay = 0.01};
  TestRun a(net, *loss, make_rule(rule, options), settings),
      b(unrolled, *loss, make_rule(rule, options), settings);
  expect_same(gradients(a.rule(), net, *loss, batch.x, batch.y),
              gradients(b.rule(), unrolled, *loss, batch.x, batch.y), 1e-12);
  for (int i = 0; i < 3; ++i) {
    a.step(batch.x, batch.y);
    b.step(batch.x, batch.y);
  }
  for (size_t i = 0; i < net.params().size(); ++i)
    EXPECT_LT(apart(net.params()[i]->value, unrolled.params()[i]->value), 1e-12)
        << net.params()[i]->name;
}

INSTANTIATE_TEST_SUITE_P(
    Nested, InsideEuler,
    ::testing::ValuesIn(std::vector<RuleInside>{
        {"backprop", "backprop", {}},
        {"feedback_alignment", "feedback-alignment", {}},
        {"uniform_sign", "uniform-sign", {}},
        {"kolen_pollack", "kolen-pollack", {}},
        {"product_activity", "product-feedback-alignment", {{"pfa.form", "activity"}}},
        {"product_implicit", "product-feedback-alignment", {{"pfa.form", "implicit"}}}}),
    [](const auto& info) { return info.param.name; });

TEST(NestedEuler, ATangentMayBeginInEveryUseOfAPart) {
  Graph net = euler_net(false);
  expect_tangents_from_everywhere(net, 2 + 2 * 3);
  // Parts that are a graph themselves are evaluated as often.
  Graph deeper;
  auto f = std::make_shared<Graph>();
  f->output(f->add(right_hand_side(), {f->input({{6}})}, "inner"));
  int z = deeper.add(linear(6), {deeper.input({{9}})}, "stem");
  z = deeper.add(std::make_shared<EulerBlock>(f, 3, 1.0), {z}, "ode");
  deeper.output(deeper.add(linear(5), {z}, "out"));
  pathways::ready(deeper);
  expect_tangents_from_everywhere(deeper, 2 + 2 * 3);
}

TEST(NestedEuler, ASolverThatKeepsNothingOfItsPartsSaysSo) {
  Graph net;
  ode::Problem problem;
  problem.sizes.steps = 2;
  int z = net.add(linear(6), {net.input({{9}})}, "stem");
  z = net.add(ode::block(right_hand_side(), problem), {z}, "flow");
  net.output(net.add(linear(5), {z}, "out"));
  pathways::ready(net);
  Activity activity;
  net.run(random({3, 9}), activity, {Mode::Train});
  try {
    net.visit(activity, {.leaf = [](const Site&, const Saved&) {}});
    FAIL() << "nothing was refused";
  } catch (const Refusal& refusal) {
    EXPECT_NE(std::string(refusal.what()).find("'flow' (ode)"), std::string::npos)
        << refusal.what();
  }
  EXPECT_THROW(net.push(activity, Push{.sites = {{Sites(net).find("flow.a"), 0, random({3, 8})}}}),
               Refusal);
}

TEST(NestedEuler, RulesThatHoldStatesRefuseItByName) {
  Graph net = euler_net(false);
  const auto loss = make_loss("cross-entropy");
  for (const char* name : {"activation-relaxation", "predictive-coding"}) {
    const auto rule = make_rule(name);
    try {
      rule->admit(net, *loss);
      rule->bind(net, *loss, 1);
      FAIL() << name;
    } catch (const Refusal& refusal) {
      EXPECT_NE(std::string(refusal.what()).find("'ode'"), std::string::npos) << refusal.what();
      EXPECT_NE(std::string(refusal.what()).find("euler"), std::string::npos) << refusal.what();
    }
  }
}

}  // namespace
}  // namespace altprop::nested
