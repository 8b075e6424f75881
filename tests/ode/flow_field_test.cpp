// Velocities with the trace of their Jacobian: against autograd's second derivatives, closed forms,
// the same flow written out without second derivatives, and each other.
#include "altprop/ode/flow_field.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/generated/variable_factories.h>

#include <ATen/core/grad_mode.h>

#include "altprop/ode/time_gate.h"
#include "network/check_op.h"
#include "network/support.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;
using testing::Found;
using testing::kExact;
using testing::pass;

constexpr FlowSettings kNoisyTrace{.trace = Trace::Gaussian};

/// Concatsquash layers: linear, time gate, tanh, linear, time gate.
std::shared_ptr<Graph> squash_net(int64_t width, int64_t hidden = 5,
                                  const std::string& act = "tanh") {
  auto g = std::make_shared<Graph>();
  const int z = g->input({{width}}, "z"), t = g->input(time_spec(), "t");
  int h = g->add(time_gate(-1), {g->add(linear(hidden), {z}, "a"), t}, "gate_a");
  h = g->add(activation(act), {h}, "squash");
  g->output(g->add(time_gate(-1), {g->add(linear(width), {h}, "b"), t}, "gate_b"));
  return g;
}

/// f of the state (z, l) and the time, with the flow as its only operation.
std::shared_ptr<Graph> field_around(const OpPtr& flow, int64_t width) {
  auto f = std::make_shared<Graph>();
  const int s = f->input({{width}}, "z"), t = f->input(time_spec(), "t");
  f->output(f->add(flow, {s, t}, "flow"));
  return f;
}

void draw_params(const Op& op, double deviation = 0.6) {
  int64_t i = 0;
  for (const ParamPtr& p : op.params())
    p->value = Stream(5).at("value").at(i++).normal(p->value.sizes(), at::kDouble) * deviation;
}

std::shared_ptr<Block> flow_block(const FlowSettings& settings, const Problem& problem,
                                  int64_t width = 3) {
  Graph net;
  auto made = std::make_shared<Block>(
      field_around(flow_field(squash_net(width), settings), width + 1), problem);
  net.output(net.add(made, {net.input({{width + 1}})}, "ode"));
  draw_params(*made);
  if (problem.learnt_time != LearntTime::No)
    made->params().back()->value = at::ones({1}, at::kDouble);
  return made;
}

TEST(FlowField, KeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  for (const Trace trace : {Trace::Exact, Trace::Gaussian, Trace::Rademacher}) {
    for (const int64_t numbers : {int64_t{1}, int64_t{1} << 20}) {
      SCOPED_TRACE(text::cat(trace_names()[static_cast<size_t>(trace)], ", ", numbers));
      auto g = std::make_shared<Graph>();
      int h = g->add(linear(4), {g->input({{3}}, "z")}, "a");
      h = g->add(activation("softplus"), {h});
      g->output(g->add(linear(3), {h}, "b"));
      check_op(flow_field(g, {.trace = trace, .numbers_at_once = numbers}), {{2, 4}},
               {.along_parameters = false});
    }
  }
}

TEST(FlowField, InABlockWithALearntTimeItKeepsThem) {
  at::NoGradGuard no_grad;
  for (const Gradient gradient : kExact) {
    auto made = std::make_shared<Block>(
        field_around(flow_field(squash_net(2, 3), kNoisyTrace), 3),
        Problem{.solver = "rk4", .sizes = {.steps = 2}, .learnt_time = LearntTime::Square});
    made->set_gradient(gradient);
    check_op(made, {{2, 3}}, {.along_parameters = false});
  }
}

TEST(FlowField, ItsGradientsAreAutogradsSecondDerivatives) {
  const std::shared_ptr<Graph> g = squash_net(3);
  for (const Trace trace : {Trace::Exact, Trace::Gaussian}) {
    const OpPtr flow = flow_field(g, {.trace = trace});
    const std::vector<Spec> specs = {{.shape = {4}}, time_spec()};
    flow->infer(specs);
    flow->build(specs);
    draw_params(*flow);
    const Tensor s = draw("s", {4, 4}), time = at::full({1}, 0.3, at::kDouble),
                 cot = draw("cot", {4, 4});
    const Stream draws = Stream(3).at("pass");
    Saved saved;
    Tensor out, of_input, of_time;
    Gradients sink;
    {
      at::NoGradGuard no_grad;
      out = flow->forward(std::vector<Tensor>{s, time}, saved, {Mode::Train, draws});
      Feedback exact;
      Sweep sweep{exact, &sink};
      const std::vector<char> wanted = {1, 1};
      const Credits credits = flow->credit(saved, cot, wanted, nullptr, sweep);
      of_input = credits[0];
      of_time = credits[1];
    }
    at::AutoGradMode with_grad(true);
    std::vector<Tensor> leaves = {s.narrow(1, 0, 3).clone().requires_grad_(),
                                  time.clone().requires_grad_()};
    for (const ParamPtr& p : flow->params())
      leaves.push_back(p->value.detach().clone().requires_grad_());
    const auto gated = [&](const Tensor& a, size_t at) {
      return a * (leaves[at] * leaves[1] + leaves[at + 1]).sigmoid() + leaves[at + 2] * leaves[1];
    };
    const Tensor h = gated(at::linear(leaves[0], leaves[2], leaves[3]), 4).tanh();
    const Tensor velocity = gated(at::linear(h, leaves[7], leaves[8]), 9);
    Tensor trace_of = at::zeros({4}, at::kDouble);
    if (trace == Trace::Exact) {
      for (int64_t k = 0; k < 3; ++k)
        trace_of = trace_of + torch::autograd::grad({velocity.select(1, k).sum()}, {leaves[0]}, {},
                                                    true, true)[0]
                                  .select(1, k);
    } else {
      const Tensor e = draws.at("trace").normal_rows({}, {4, 3}, at::kDouble);
      trace_of = (torch::autograd::grad({velocity}, {leaves[0]}, {e}, true, true)[0] * e).sum(1);
    }
    const Tensor whole = at::cat({velocity, -trace_of.unsqueeze(1)}, 1);
    EXPECT_LE(apart(out, whole.detach()), 1e-14);
    const auto grads = torch::autograd::grad({whole}, leaves, {cot}, {}, false, true);
    EXPECT_LE(apart(of_input.narrow(1, 0, 3), grads[0]), 1e-13);
    EXPECT_EQ(largest(of_input.select(1, 3)), 0);
    EXPECT_LE(apart(of_time.view({1}), grads[1]), 1e-13);
    for (size_t i = 0; i < flow->params().size(); ++i) {
      ASSERT_TRUE(grads[i + 2].defined());
      EXPECT_LE(apart(sink.of_param(*flow->params()[i]), grads[i + 2]), 1e-13)
          << flow->params()[i]->name << i;
    }
  }
}

TEST(FlowField, ExactMethodsAgree) {
  at::NoGradGuard no_grad;
  const Tensor x = draw("x", {4, 4}), cot = draw("cot", {4, 4});
  for (const FlowSettings& settings : {FlowSettings{}, kNoisyTrace})
    for (const Problem& problem :
         {Problem{.solver = "dopri5", .sizes = {.steps = 5}},
          Problem{.sizes = {.rtol = 1e-4, .atol = 1e-6}},
          Problem{.solver = "rk4", .sizes = {.steps = 4}, .learnt_time = LearntTime::Square}}) {
      const auto block = flow_block(settings, problem);
      const Found naive = pass(*block, Gradient::Naive, x, cot);
      ASSERT_GT(naive.of_params[0].norm().item<double>(), 1e-3);
      for (const Gradient gradient : kExact)
        testing::expect_same_gradients(pass(*block, gradient, x, cot), naive, 1e-12);
    }
}

TEST(FlowField, TheContinuousAdjointFollowsItsTolerance) {
  at::NoGradGuard no_grad;
  const Tensor x = draw("x", {4, 4}), cot = draw("cot", {4, 4});
  for (const double tolerance : {1e-4, 1e-8}) {
    const auto block = flow_block(kNoisyTrace, {.sizes = {.rtol = tolerance, .atol = tolerance}});
    const Found exact = pass(*block, Gradient::Symplectic, x, cot),
                found = pass(*block, Gradient::Adjoint, x, cot);
    EXPECT_LE(apart(found.of_params[0], exact.of_params[0]), 100 * tolerance);
    EXPECT_LE(apart(found.of_input, exact.of_input), 100 * tolerance);
  }
}

/// z' = A z: l(T) = -T tr A whatever the solver, z(T) = R(hA)^N z(0), here by halved steps of rk4.
TEST(FlowField, ALinearVelocityInClosedForm) {
  at::NoGradGuard no_grad;
  auto g = std::make_shared<Graph>();
  g->output(g->add(linear(3, false), {g->input({{3}}, "z")}, "map"));
  auto f = std::make_shared<Graph>();
  f->output(f->add(flow_field(g), {f->input({{4}}, "z")}, "flow"));
  Block block(f, {.solver = "rk4", .end_time = 0.8, .sizes = {.steps = 5}});
  const Tensor a = draw("A", {3, 3}) * 0.5;
  block.params()[0]->value = a;
  const Tensor x = draw("x", {4, 4}), cot = draw("cot", {4, 4});
  const Found found = pass(block, Gradient::Symplectic, x, cot);
  const Tensor ha = a * (0.8 / 5), eye = at::eye(3, at::kDouble);
  Tensor r = eye, power = eye;
  for (int k = 1; k <= 4; ++k) {
    power = power.mm(ha) / k;
    r = r + power;
  }
  Tensor z = x.narrow(1, 0, 3);
  for (int n = 0; n < 5; ++n) z = z.mm(r.t());
  EXPECT_LE(apart(found.out.narrow(1, 0, 3), z), 1e-14);
  const Tensor l = x.select(1, 3) - 0.8 * a.trace();
  EXPECT_LE(apart(found.out.select(1, 3), l), 1e-14);
}

/// E e^T J e = tr J: the mean over many samples of one value, within four deviations of the mean.
TEST(FlowField, TheEstimateIsUnbiased) {
  at::NoGradGuard no_grad;
  const std::shared_ptr<Graph> g = squash_net(3);
  const int64_t n = 4000;
  const Tensor s = draw("one", {1, 4}).expand({n, 4}).contiguous();
  const std::vector<Tensor> in = {s, at::full({1}, 0.2, at::kDouble)};
  for (const Trace trace : {Trace::Gaussian, Trace::Rademacher}) {
    const OpPtr flow = flow_field(g, {.trace = trace});
    const std::vector<Spec> specs = {{.shape = {4}}, time_spec()};
    flow->build(specs);
    draw_params(*flow);
    Saved saved, exact;
    const Tensor found = flow->forward(in, saved, {Mode::Train, Stream(8)}).select(1, 3);
    const Tensor known = flow->forward(in, exact, {Mode::Eval, Stream(8)}).select(1, 3);
    EXPECT_EQ(largest(known - known[0]), 0) << "in evaluation it is exact";
    const double deviation = found.std().item<double>() / std::sqrt(double(n));
    ASSERT_GT(deviation, 1e-6);
    EXPECT_NEAR(found.mean().item<double>(), known[0].item<double>(), 4 * deviation);
  }
}

TEST(FlowField, NoiseBelongsToThePassAndTheSample) {
  at::NoGradGuard no_grad;
  const auto block = flow_block(kNoisyTrace, {.solver = "rk4", .sizes = {.steps = 2}});
  const Tensor x = draw("x", {4, 4});
  const Tensor ids = at::tensor({7, 3, 11, 5}, at::kLong),
               order = at::tensor({2, 0, 3, 1}, at::kLong);
  const auto out = [&](const Tensor& rows, const Tensor& numbers, int64_t step) {
    Saved saved;
    return block->forward(std::vector<Tensor>{rows}, saved,
                          {.mode = Mode::Train, .draws = Stream(2).at(step), .ids = numbers});
  };
  const Tensor whole = out(x, ids, 0);
  EXPECT_LE(apart(out(x.index_select(0, order), ids.index_select(0, order), 0),
                  whole.index_select(0, order)),
            1e-14);
  EXPECT_LE(apart(out(x.narrow(0, 1, 2), ids.narrow(0, 1, 2), 0), whole.narrow(0, 1, 2)), 1e-14);
  EXPECT_GT(largest(out(x, ids, 1).select(1, 3) - whole.select(1, 3)), 1e-3);
  EXPECT_LE(apart(out(x, ids, 1).narrow(1, 0, 3), whole.narrow(1, 0, 3)), 1e-14);
}

/// Credit crosses another tensor than the weight, wherever the weight is used.
struct Substituting : Feedback {
  std::map<const Param*, Tensor> by;
  Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
               Sweep& sweep) override {
    const ParamPtr weight = site.node.op->weight();
    const auto found = by.find(weight.get());
    return site.node.op->credit(saved, cot, wanted, found == by.end() ? nullptr : &found->second,
                                sweep);
  }
};

/// The velocity and its trace written out: z' = W2 tanh(W1 z), tr = sum_k e_k^T W2 (tanh' * W1
/// e_k), with each weight at 1 + d places.
TEST(FlowField, AFeedbackRuleActsOnTheTraceAsOnTheSameFlowWrittenOut) {
  at::NoGradGuard no_grad;
  constexpr int64_t kWidth = 2;
  const OpPtr a = linear(4), b = linear(kWidth);
  auto g = std::make_shared<Graph>();
  g->output(
      g->add(b, {g->add(activation("tanh"), {g->add(a, {g->input({{kWidth}}, "z")}, "a")})}, "b"));
  const OpPtr flow = flow_field(g);
  flow->build(std::vector<Spec>{{.shape = {kWidth + 1}}});
  draw_params(*flow);
  Graph plain;
  const int z = plain.input({{kWidth}}, "z");
  const int pre = plain.add(a, {z}, "a"), h = plain.add(activation("tanh"), {pre}, "h");
  std::vector<int> outputs = {plain.add(b, {h}, "b")};
  for (int64_t k = 0; k < kWidth; ++k) {
    const int e = plain.input({{kWidth}}, text::cat("e", k));
    const OpPtr bare_a = a->with_weight(a->weight()), bare_b = b->with_weight(b->weight());
    const int moved = plain.add(bare_a, {e}, text::cat("a", k));
    const int bent =
        plain.add(autograd_op(
                      "slope", [](auto x) { return (1 - at::tanh(x[0]).square()) * x[1]; }, 2),
                  {pre, moved}, text::cat("s", k));
    outputs.push_back(plain.add(bare_b, {bent}, text::cat("b", k)));
  }
  plain.output(outputs[0]);
  Substituting feedback;
  feedback.by[a->weight().get()] = draw("Ma", a->weight()->value.sizes());
  feedback.by[b->weight().get()] = draw("Mb", b->weight()->value.sizes());
  const Tensor s = draw("s", {3, kWidth + 1}), cot = draw("cot", {3, kWidth + 1});
  Saved saved;
  flow->forward(std::vector<Tensor>{s}, saved, {Mode::Train});
  Gradients found;
  Sweep sweep{feedback, &found};
  const char wanted = 1;
  const Tensor of_input = flow->credit(saved, cot, {&wanted, 1}, nullptr, sweep)[0];
  std::vector<Tensor> in = {s.narrow(1, 0, kWidth).contiguous()};
  std::vector<Seed> seeds = {{outputs[0], cot.narrow(1, 0, kWidth).contiguous()}};
  for (int64_t k = 0; k < kWidth; ++k) {
    const Tensor e = at::zeros({3, kWidth}, at::kDouble);
    e.select(1, k).fill_(1);
    in.push_back(e);
    seeds.push_back({outputs[static_cast<size_t>(k) + 1], -cot.select(1, kWidth).unsqueeze(1) * e});
  }
  Activity activity;
  plain.run(in, activity, {Mode::Train}, {.keep_values = true});
  Gradients expected;
  std::vector<Tensor> credits;
  plain.sweep(activity, seeds, feedback, &expected, {.input_credits = &credits});
  EXPECT_LE(apart(of_input.narrow(1, 0, kWidth), credits[0]), 1e-14);
  for (const ParamPtr& p : flow->params())
    EXPECT_LE(apart(found.of_param(*p), expected.of_param(*p)), 1e-14) << p->name;
}

TEST(FlowField, GraphsInsideAreAsTheirOperationsAre) {
  at::NoGradGuard no_grad;
  const OpPtr a = linear(4), b = linear(3);
  auto inner = std::make_shared<Graph>();
  inner->output(
      inner->add(activation("tanh"), {inner->add(a, {inner->input({{3}})}, "a")}, "squash"));
  auto nested = std::make_shared<Graph>(), flat = std::make_shared<Graph>();
  nested->output(nested->add(b, {nested->add(inner, {nested->input({{3}}, "z")}, "inner")}, "b"));
  flat->output(flat->add(
      b, {flat->add(activation("tanh"), {flat->add(a, {flat->input({{3}}, "z")}, "a")})}, "b"));
  std::vector<Tensor> found[2];
  for (const auto& [g, into] : {std::pair(nested, &found[0]), std::pair(flat, &found[1])}) {
    const OpPtr flow = flow_field(g);
    flow->build(std::vector<Spec>{{.shape = {4}}});
    draw_params(*flow);
    Saved saved;
    into->push_back(flow->forward(std::vector<Tensor>{draw("s", {2, 4})}, saved, {Mode::Train}));
    Gradients sink;
    Feedback exact;
    Sweep sweep{exact, &sink};
    sweep.release = true;
    const char wanted = 1;
    into->push_back(flow->credit(saved, draw("c", {2, 4}), {&wanted, 1}, nullptr, sweep)[0]);
    for (const Tensor& one : sink.of_params(flow->params())) into->push_back(one);
  }
  for (size_t i = 0; i < found[0].size(); ++i) EXPECT_LE(apart(found[0][i], found[1][i]), 1e-14);
}

TEST(FlowField, WhatHasNoSecondDerivativesIsRefusedByName) {
  const auto inside = [](const OpPtr& op) {
    auto g = std::make_shared<Graph>();
    int h = g->add(linear(4), {g->input({{3}}, "z")}, "a");
    h = g->add(op, {h}, "bend");
    g->output(g->add(linear(3), {h}, "b"));
    Graph net;
    return test::message_of([&] { net.add(flow_field(g), {net.input({{4}})}, "flow"); });
  };
  EXPECT_TRUE(test::contains(inside(relu()), "'bend' (relu)")) << inside(relu());
  EXPECT_TRUE(test::contains(inside(activation("elu(0.5)")), "'bend' (elu)"));
  EXPECT_EQ(inside(activation("elu")), "no error");
  auto deep = std::make_shared<Graph>();
  deep->output(deep->add(relu(), {deep->input({{4}})}, "kink"));
  EXPECT_TRUE(test::contains(inside(deep), "'bend.kink' (relu)")) << inside(deep);
  EXPECT_TRUE(test::contains(inside(autograd_op("own", [](auto x) { return at::sin(x[0]); })),
                             "'bend' (own)"));
  Graph net;
  auto g = squash_net(3);
  EXPECT_THROW(net.add(flow_field(g), {net.input({{3}}), net.input(time_spec())}, "f"), Refusal);
  auto wide = std::make_shared<Graph>();
  wide->output(wide->add(linear(2), {wide->input({{3}})}));
  EXPECT_THROW(flow_field(wide), Refusal);
}

}  // namespace
}  // namespace altprop::ode
