// Values from outside of an ODE block that its f takes as they are: their credit, against finite
// differences, a state that carries them along, and a bias that learns.
#include <ATen/core/grad_mode.h>

#include "altprop/base/error.h"
#include "altprop/network/ops/combine.h"
#include "altprop/probes/gradient_check.h"
#include "network/check_op.h"
#include "network/support.h"
#include "ode/passes.h"
#include "rules/pathways.h"

namespace altprop::ode {
namespace {

using test::contains;
using test::message_of;
using testing::apart;
using testing::draw;

/// f = b(tanh(a(z, t, c)) + d): c [2] of each sample, d [3] of each sample or for the whole batch.
std::shared_ptr<Graph> driven_field(bool shared = false, const Spec& time = time_spec()) {
  auto f = std::make_shared<Graph>();
  const int z = f->input({{3}}, "z"), t = f->input(time, "t"), c = f->input({{2}}, "c"),
            d = f->input({.shape = {3}, .batched = !shared}, "d");
  const int all = f->add(concat(2), {f->add(with_time(), {z, t}, "timed"), c}, "all");
  const int h = f->add(activation("tanh"), {f->add(linear(3), {all}, "a")}, "squash");
  f->output(f->add(linear(3), {f->add(add(2), {h, d}, "sum")}, "b"));
  return f;
}

std::shared_ptr<Block> driven(const Problem& problem, bool shared = false) {
  const Spec time = problem.sizes.per_sample ? sample_time_spec() : time_spec();
  auto made = std::make_shared<Block>(driven_field(shared, time), problem);
  Graph net;
  net.output(net.add(
      made, {net.input({{3}}), net.input({{2}}), net.input({.shape = {3}, .batched = !shared})},
      "ode"));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("normal:0.6"), Stream(4).at("init"));
  return made;
}

struct Driven {
  Tensor out;
  Credits credits;
  std::vector<Tensor> of_params;
};

Driven driven_pass(Block& block, const GradientMethod& method, const std::vector<Tensor>& inputs,
                   const Tensor& cot) {
  block.set_gradient(method);
  Saved saved;
  Driven found;
  found.out = block.forward(inputs, saved, {Mode::Train});
  Feedback exact;
  Gradients sink;
  Sweep sweep{exact, &sink};
  const std::vector<char> wanted(inputs.size(), 1);
  found.credits = block.credit(saved, cot, wanted, nullptr, sweep);
  found.of_params = sink.of_params(block.params());
  return found;
}

TEST(OdeConstants, ABlockWithThemKeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  for (const std::string solver : {"rk4", "bosh3", "alf"})
    for (const Gradient gradient : testing::kExact) {
      SCOPED_TRACE(solver + gradient_names()[static_cast<size_t>(gradient)]);
      auto block = std::make_shared<Block>(
          driven_field(), Problem{.solver = solver, .end_time = 0.7, .sizes = {.steps = 2}});
      block->set_gradient(gradient);
      EXPECT_EQ(block->arity(), 3);
      OpCheck(block, {{2, 3}, {2, 2}, {2, 3}}).run();
    }
}

/// A constant is a state that does not change: the same network without constants.
TEST(OdeConstants, TheyAreStatesThatStand) {
  at::NoGradGuard no_grad;
  for (const std::string solver : {"rk4", "dopri5", "alf"}) {
    const Problem problem{.solver = solver, .sizes = {.steps = 3}};
    const auto block = driven(problem);
    const std::shared_ptr<Graph> inner = std::make_shared<Graph>();
    // The same operations, of z, c and d in one state.
    const int state = inner->input({{8}}, "z"), t = inner->input(time_spec(), "t");
    const auto cut = [&](int64_t from, int64_t count, const char* name) {
      return inner->add(autograd_op("cut" + std::string(name),
                                    [=](auto x) { return x[0].narrow(1, from, count); }),
                        {state}, name);
    };
    const int slope = inner->splice(
        *block->parts(), {cut(0, 3, "of_z"), t, cut(3, 2, "of_c"), cut(5, 3, "of_d")})[0];
    const int still = inner->add(
        autograd_op("still", [](auto x) { return x[0].narrow(1, 0, 5) * 0; }), {state}, "still");
    inner->output(inner->add(concat(2), {slope, still}, "both"));
    Block standing(inner, problem);
    const Tensor z = draw("z", {4, 3}), c = draw("c", {4, 2}), d = draw("d", {4, 3}),
                 cot = draw("cot", {4, 3});
    const Driven found = driven_pass(*block, Gradient::Symplectic, {z, c, d}, cot);
    const testing::Found other =
        testing::pass(standing, Gradient::Symplectic, at::cat({z, c, d}, 1),
                      at::cat({cot, at::zeros({4, 5}, at::kDouble)}, 1));
    EXPECT_LE(apart(found.out, other.out.narrow(1, 0, 3)), 1e-14);
    EXPECT_LE(apart(found.credits[0], other.of_input.narrow(1, 0, 3)), 1e-13);
    EXPECT_LE(apart(found.credits[1], other.of_input.narrow(1, 3, 2)), 1e-13);
    EXPECT_LE(apart(found.credits[2], other.of_input.narrow(1, 5, 3)), 1e-13);
    for (size_t i = 0; i < found.of_params.size(); ++i)
      EXPECT_LE(apart(found.of_params[i], other.of_params[i]), 1e-13);
  }
}

/// One value for the whole batch, added behind the activation: W^T times what the bias learns.
TEST(OdeConstants, OneForTheWholeBatchIsASum) {
  at::NoGradGuard no_grad;
  const Problem problem{.solver = "rk38", .sizes = {.steps = 4}};
  const auto shared = driven(problem, true), each = driven(problem);
  const Tensor z = draw("z", {4, 3}), c = draw("c", {4, 2}), d = draw("d", {3}),
               cot = draw("cot", {4, 3});
  for (const Gradient gradient : {Gradient::Naive, Gradient::Symplectic, Gradient::Adjoint}) {
    const Driven a = driven_pass(*shared, gradient, {z, c, d}, cot),
                 b = driven_pass(*each, gradient, {z, c, d.expand({4, 3}).contiguous()}, cot);
    EXPECT_LE(apart(a.credits[2], b.credits[2].sum(0, true)), 1e-13);
    EXPECT_LE(apart(a.credits[1], b.credits[1]), 1e-13);
  }
}

TEST(OdeConstants, GradientMethodsAgreeAndTheAdjointComesClose) {
  at::NoGradGuard no_grad;
  for (const Problem& problem : {Problem{.sizes = {.rtol = 1e-9, .atol = 1e-9}},
                                 Problem{.solver = "rk4", .sizes = {.steps = 30}}}) {
    const auto block = driven(problem);
    const std::vector<Tensor> inputs = {draw("z", {4, 3}), draw("c", {4, 2}), draw("d", {4, 3})};
    const Tensor cot = draw("cot", {4, 3});
    const Driven naive = driven_pass(*block, Gradient::Naive, inputs, cot);
    for (const GradientMethod& method :
         {GradientMethod(Gradient::OneCheckpoint), GradientMethod(Gradient::Aca),
          GradientMethod(Gradient::Symplectic, 0, 2), GradientMethod(Gradient::Binomial, 3)})
      for (size_t i = 0; i < 3; ++i)
        EXPECT_LE(apart(driven_pass(*block, method, inputs, cot).credits[i], naive.credits[i]),
                  1e-13);
    const Driven adjoint = driven_pass(*block, Gradient::Adjoint, inputs, cot);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_LE(apart(adjoint.credits[i], naive.credits[i]), 1e-5);
      EXPECT_GT(apart(adjoint.credits[i], naive.credits[i]), 1e-13);
    }
  }
}

TEST(OdeConstants, OfSamplesWithStepsOfTheirOwn) {
  at::NoGradGuard no_grad;
  Problem problem{.sizes = {.rtol = 1e-5, .atol = 1e-6, .per_sample = true}};
  const auto block = driven(problem);
  problem.sizes.per_sample = false;
  const auto single = driven(problem);
  const Tensor z = draw("z", {4, 3}), d = draw("d", {4, 3}), cot = draw("cot", {4, 3}),
               c = draw("c", {4, 2}) * at::tensor({0.1, 8.0, 1.0, 3.0}, at::kDouble).view({4, 1});
  for (const GradientMethod& method :
       {GradientMethod(Gradient::Naive), GradientMethod(Gradient::OneCheckpoint),
        GradientMethod(Gradient::Symplectic), GradientMethod(Gradient::Binomial, 2)}) {
    const Driven all = driven_pass(*block, method, {z, c, d}, cot);
    for (int64_t b = 0; b < 4; ++b) {
      const Driven one =
          driven_pass(*single, method, {z.narrow(0, b, 1), c.narrow(0, b, 1), d.narrow(0, b, 1)},
                      cot.narrow(0, b, 1));
      EXPECT_LE(apart(all.out.narrow(0, b, 1), one.out), 1e-13);
      for (size_t i = 0; i < 3; ++i)
        EXPECT_LE(apart(all.credits[i].narrow(0, b, 1), one.credits[i]), 1e-13) << method.text();
    }
  }
}

// ---- in texts ----

const InputInfo kDrivenInfo{.input_shape = {6}, .classes = 3};

/// The worst relative error of a rule's gradients against exact ones, of backprop zero.
double worst_error(const std::string& text) {
  Graph net = network(text, kDrivenInfo);
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  // Against central differences of the loss.
  const Tensor x = draw("x", {5, 6}), cot = draw("cot", {5, 3});
  Activity activity;
  net.run(x, activity, {Mode::Train});
  Gradients sink;
  Feedback exact;
  net.sweep(activity, {{net.output_node(), cot}}, exact, &sink);
  double worst = 0;
  for (const ParamPtr& param : net.params()) {
    const Tensor gradient = sink.of_param(*param), kept = param->value.clone();
    const Tensor direction = draw(param->name.c_str(), param->value.sizes());
    const auto seen = [&](double e) {
      param->value.copy_(kept + direction * e);
      return dot_product(net.predict(x), cot);
    };
    const double difference = (seen(1e-5) - seen(-1e-5)) / 2e-5;
    param->value.copy_(kept);
    worst = std::max(worst, std::abs(difference - dot_product(gradient, direction)) /
                                (1e-3 + std::abs(difference)));
  }
  return worst;
}

TEST(OdeConstants, NodesFromOutsideMayBeNamedInTheBraces) {
  at::NoGradGuard no_grad;
  for (const char* text :
       {"dag: x = input; c = tanh(linear(x, 4)); y = ode(x, solver=rk4, steps=3){h = "
        "tanh(linear(with-time(z), 4)); output linear(add(h, c), 6)}; output linear(y, *)",
        // Of the block around it, and of the one around that.
        "dag: x = input; c = linear(x, 6); y = ode(x, solver=heun, steps=2){k = tanh(linear(z, "
        "6)); "
        "output ode(z, solver=heun, steps=2){output tanh(add(linear(z, 6), c, k))}}; output "
        "linear(y, *)",
        // Used again with the same constants.
        "dag: x = input; c = linear(x, 6); y = ode(x, solver=heun, steps=2){output "
        "tanh(add(linear(z, 6), c))}; w = ode(y, tie=y); output linear(w, *)",
        // The input itself, and the constant twice.
        "dag: x = input; y = ode(linear(x, 6), solver=rk38, steps=2){output "
        "tanh(add(linear(z, 6), multiply(x, x)))}; output linear(y, *)"})
    EXPECT_LE(worst_error(text), 1e-6) << text;
}

TEST(OdeConstants, NamesInsideHideThoseOutside) {
  const Graph net = network(
      "dag: x = input; h = linear(x, 6); y = ode(x, steps=2){h = tanh(linear(z, 6)); output "
      "linear(h, 6)}; output linear(add(y, h), *)",
      kDrivenInfo);
  EXPECT_EQ(net.node(net.find("y")).inputs.size(), 1u);
  // What an operation was called by itself may be a name outside.
  const Graph other = network(
      "dag: x = input; linear1 = linear(x, 6); y = ode(x, steps=2){output add(linear(z, 6), "
      "linear1)}; output linear(y, *)",
      kDrivenInfo);
  EXPECT_EQ(other.node(other.find("y")).inputs.size(), 2u);
  EXPECT_TRUE(contains(
      message_of([&] {
        network("dag: x = input; y = ode(x, steps=2){output linear(y, 6)}; output y", kDrivenInfo);
      }),
      "no node of that name"));
}

/// With one step of Euler's method the block is a residual block, whatever the rule.
TEST(OdeConstants, OneEulerStepIsAResidualBlockUnderEveryRule) {
  at::NoGradGuard no_grad;
  const auto loss = make_loss("cross-entropy");
  for (const auto& [name, rule, options] : pathways::rules_for_blocks()) {
    SCOPED_TRACE(name);
    std::vector<altprop::testing::NamedGradients> found;
    for (const bool as_block : {true, false}) {
      auto f = std::make_shared<Graph>();
      const int z = f->input({{6}}, "z");
      if (as_block) f->input(time_spec(), "t");
      const int c = f->input({{4}}, "c");
      const int h = f->add(add(2), {f->add(linear(4), {z}, "a"), c}, "sum");
      f->output(f->add(linear(6), {f->add(activation("tanh"), {h})}, "b"));
      Graph net;
      const int x = net.input({{9}}), stem = net.add(linear(6), {x}, "stem"),
                outer = net.add(linear(4), {x}, "outer");
      int y = 0;
      if (as_block) {
        y = net.add(block(f, {.solver = "euler", .sizes = {.steps = 1}}), {stem, outer}, "ode");
      } else {
        y = net.add(add(2), {stem, net.add(f, {stem, outer}, "ode")}, "sum");
      }
      net.output(net.add(linear(5), {y}, "out"));
      net.to(at::kCPU, at::kDouble);
      initialise(net, Initialiser("xavier"), Stream(1).at("init"));
      const pathways::Batch batch(net);
      const auto learner = make_rule(rule, options);
      learner->prepare_for({.kind = "sgd", .lr = 0.1});
      learner->bind(net, *loss, 1);
      found.push_back(altprop::testing::gradients(*learner, net, *loss, batch.x, batch.y));
    }
    pathways::expect_same(found[0], found[1], 1e-14);
    if (rule != "last-layer-only") {
      EXPECT_GT(found[0].at("outer.weight").norm().item<double>(), 1e-5);
    }
  }
}

}  // namespace
}  // namespace altprop::ode
