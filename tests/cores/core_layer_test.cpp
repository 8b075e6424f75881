// A layer of cores against its definition: values, gradients, corners.
#include "altprop/cores/core_layer.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "altprop/cores/class_sums.h"
#include "altprop/cores/probabilities.h"
#include "altprop/network/gradients.h"
#include "altprop/network/init.h"
#include "altprop/network/signal.h"
#include "cores/support.h"
#include "network/check_op.h"

namespace altprop::cores::testing {
namespace {

std::vector<CoreLayout> layouts() { return {overlapping(), disjoint(), single(7, 5)}; }

Tensor probabilities_of(std::vector<int64_t> shape, uint64_t seed = 3) {
  return Stream(seed).at("x").uniform(shape, at::kDouble);
}

struct Found {
  Tensor value, dx, dc, db;
};

Found by_layer(const Built& built, const Tensor& x, const Tensor& cot) {
  Saved saved;
  Gradients store;
  Found out{built.forward(x, saved), built.layer->vjp(saved, cot, 0, nullptr), {}, {}};
  built.layer->accumulate(saved, cot, 1, store, nullptr, nullptr);
  out.dc = store.of_param(*built.layer->weight());
  out.db = store.of_param(*built.layer->leaks());
  return out;
}

Found by_autograd(Built& built, const Tensor& x, const Tensor& cot, bool frozen = false,
                  double shift = 0) {
  const Tensor xs = x.clone().requires_grad_(true),
               c = built.connections().clone().requires_grad_(true),
               b = built.leaks().clone().requires_grad_(true);
  at::AutoGradMode on(true);
  const Tensor n = by_definition(built.layer->layout(), xs, c, b, built.strengths(), frozen, shift);
  (n * cot).sum().backward();
  return {n.detach(), xs.grad(), c.grad(), b.grad()};
}

void expect_same(const Found& a, const Found& b, double tolerance, const std::string& what) {
  expect_close(a.value, b.value, tolerance, what + ": value");
  expect_close(a.dx, b.dx, tolerance, what + ": credit");
  expect_close(a.dc, b.dc, tolerance, what + ": connections");
  expect_close(a.db, b.db, tolerance, what + ": leaks");
}

TEST(CoreLayer, GradientsAreAutogradsOfTheDefinition) {
  for (const CoreLayout& layout : layouts())
    for (const bool frozen : {false, true})
      for (const auto& [continuity, at_zero, shift] :
           std::vector<std::tuple<Continuity, bool, double>>{{Continuity::None, false, 0},
                                                             {Continuity::Half, false, -0.5},
                                                             {Continuity::Half, true, 0.5}}) {
        Built built(layout,
                    {.exact_variance = !frozen, .continuity = continuity, .fire_on_zero = at_zero});
        const Tensor x = probabilities_of({5, layout.inputs}),
                     cot = Stream(7).normal({5, layout.outputs()}, at::kDouble);
        expect_same(by_layer(built, x, cot), by_autograd(built, x, cot, frozen, shift), 1e-12,
                    text::cat(layout.size(), " cores, frozen ", frozen, ", shift ", shift));
      }
}

TEST(CoreLayer, KeepsThePromisesOfAnOperation) {
  // What stands for the connections stands in the mean alone.
  const CheckOptions of_cores{.probabilities = true, .whole_substitute = false};
  for (const CoreLayout& layout : layouts())
    check_op(core_layer(layout), {{4, layout.inputs}}, of_cores);
  check_op(core_layer(overlapping(), {.continuity = Continuity::Half, .fire_on_zero = true}),
           {{4, 9}}, of_cores);
  check_op(core_layer(over_inputs({1, 4, 4}, {3, 1}, 2, {})), {{3, 1, 4, 4}}, of_cores);
  check_op(probabilities(), {{4, 2, 3}}, {.probabilities = true});
  for (const ClassScore score : {ClassScore::Sums, ClassScore::Means, ClassScore::Majority})
    check_op(class_sums(3, score), {{4, 12}}, {.probabilities = true});
}

/// dL/dx = G1 (c'.s)^T with c' for the connections: neither they nor squares of c' are in it.
TEST(CoreLayer, FeedbackGoesThroughTheMeanAlone) {
  for (const bool frozen : {false, true}) {
    Built built(single(7, 5), {.exact_variance = !frozen});
    const Tensor x = probabilities_of({4, 7}), cot = Stream(7).normal({4, 5}, at::kDouble),
                 feedback = Stream(8).normal({5, 7}, at::kDouble);
    Saved saved;
    built.forward(x, saved);
    const Tensor found = built.layer->vjp(saved, cot, 0, &feedback);
    // phi(z) / sqrt(var), by hand.
    const Tensor p = x.unsqueeze(1) * built.connections(), s = built.strengths();
    const Tensor mu = (p * s).sum(2) + built.leaks(), var = (p * (1 - p) * s * s).sum(2);
    const Tensor by_mean = normal_density(mu / var.sqrt()) / var.sqrt();
    expect_close(found, at::mm(cot * by_mean, feedback * s), 1e-12, "G1 alone");
    const Tensor twice = 2 * feedback;
    expect_close(built.layer->vjp(saved, cot, 0, &twice), 2 * found, 1e-13, "no squares");
    // The connections' own gradient is local: it is whole.
    Gradients store;
    built.layer->accumulate(saved, cot, 1, store, nullptr, nullptr);
    const Found exact = by_autograd(built, x, cot, frozen);
    expect_close(store.of_param(*built.layer->weight()), exact.dc, 1e-12, "connections");
    const Tensor own = built.layer->vjp(saved, cot, 0, &built.connections());
    EXPECT_EQ(distance(own, exact.dx) < 1e-12, frozen)
        << "feedback of the connections themselves is the gradient by the mean";
  }
}

/// Of the specification: one core, four axons, two neurons.
TEST(CoreLayer, TheWorkedExample) {
  Built built(single(4, 2));
  built.connections() =
      at::tensor({.5, .1, .6, .9, .3, .4, .8, .25}, at::kDouble).view({4, 2}).t().contiguous();
  built.strengths() =
      at::tensor({-2., 1., 1., -1., 2., 2., -1., -2.}, at::kDouble).view({4, 2}).t().contiguous();
  built.leaks() = at::tensor({.5, -.25}, at::kDouble);
  const Tensor x = at::tensor({.2, .7, .9, .5}, at::kDouble).view({1, 4}),
               cot = at::tensor({1., -2.}, at::kDouble).view({1, 2});
  const Found found = by_layer(built, x, cot);
  const auto expect = [](const Tensor& t, std::vector<double> values, const std::string& what) {
    expect_close(t.reshape({-1}), at::tensor(values, at::kDouble), 6e-11, what);
  };
  expect(found.value, {0.7495871428, 0.3793488514}, "n");
  expect(found.db, {0.2489670305, -0.5995053326}, "dL/db");
  expect(found.dx, {-0.4208371144, 0.6996095907, -0.3989274583, 0.0356860191}, "dL/dx");
  expect(found.dc.t(),
         {-0.1415694880, -0.1338267891, 0.1669299531, 0.4328541574, 0.3395104815, -1.1522196422,
          -0.1310433084, 0.4907106250},
         "dL/dc");
}

TEST(CoreLayer, WhereNothingIsLeftToChanceItIsTheDeployedCore) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat})
    for (const bool at_zero : {false, true}) {
      Built built(single(8, 200), {.fire_on_zero = at_zero});
      built.connections() = built.connections().gt(0.5).to(type);
      built.leaks() = built.leaks().mul(2).round().to(type);
      built.strengths() = built.strengths().to(type);
      const Tensor x = probabilities_of({30, 8}).gt(0.5).to(type);
      const Tensor sum = at::mm(x, (built.connections() * built.strengths()).t()) + built.leaks();
      ASSERT_GT(sum.eq(0).sum().item<int64_t>(), 100) << "the edge is met";
      Saved saved;
      const Tensor n = built.forward(x, saved);
      EXPECT_TRUE(at::equal(n, (at_zero ? sum.ge(0) : sum.gt(0)).to(type)));
      const Tensor cot = at::ones_like(n);
      Gradients store;
      built.layer->accumulate(saved, cot, 1, store, nullptr, nullptr);
      for (const ParamPtr& param : built.layer->params())
        EXPECT_TRUE(store.of_param(*param).isfinite().all().item<bool>()) << param->name;
      const Tensor credit = built.layer->vjp(saved, cot * sum.ne(0), 0, nullptr);
      EXPECT_EQ(largest(credit), 0) << "away from the edge nothing changes";
      EXPECT_TRUE(built.layer->vjp(saved, cot, 0, nullptr).isfinite().all().item<bool>());
    }
}

TEST(CoreLayer, OrderOfAxonsAndUnitsOfStrengthsDoNotMatter) {
  Built built(single(10, 6)), moved(single(10, 6)), doubled(single(10, 6));
  const Tensor x = probabilities_of({4, 10}), order = Stream(5).permutation(10);
  moved.connections() = built.connections().index_select(1, order);
  moved.strengths() = built.strengths().index_select(1, order);
  expect_close(moved(x.index_select(1, order)), built(x), 1e-13, "permuted");
  doubled.strengths().mul_(2);
  doubled.leaks().mul_(2);
  expect_close(doubled(x), built(x), 1e-13, "doubled");
}

TEST(CoreLayer, DeterministicSynapsesGoStraightThroughTheRounding) {
  const CoreLayout layout = overlapping();
  Built built(layout, {.synapse = Synapse::Deterministic, .fire_on_zero = true});
  const Tensor x = probabilities_of({5, 9}), cot = Stream(7).normal({5, 6}, at::kDouble);
  const Tensor xs = x.clone().requires_grad_(true),
               c = built.connections().clone().requires_grad_(true),
               b = built.leaks().clone().requires_grad_(true);
  Tensor n, sum;
  {
    at::AutoGradMode on(true);
    const auto straight = [](const Tensor& t) {
      return t + (t.gt(0.5).to(t.scalar_type()) - t).detach();
    };
    const Tensor spikes = straight(xs), synapses = straight(c) * built.strengths(),
                 leak = b + (b.round() - b).detach();
    std::vector<Tensor> sums;
    for (int64_t core = 0; core < 2; ++core) {
      const int64_t from = layout.first_output(core),
                    to = layout.neurons[static_cast<size_t>(core)];
      const Tensor seen =
          spikes.index_select(1, at::tensor(layout.axons[static_cast<size_t>(core)], at::kLong));
      sums.push_back(at::mm(seen, synapses.narrow(0, from, to).t()) + leak.narrow(0, from, to));
    }
    sum = at::cat(sums, 1);
    n = at::sigmoid(sum);
    (n * cot).sum().backward();
  }
  expect_same(by_layer(built, x, cot), {n.detach(), xs.grad(), c.grad(), b.grad()}, 1e-13,
              "straight through");
  const Tensor deployed = built(x, Mode::Eval);
  EXPECT_TRUE(at::equal(deployed, sum.detach().ge(0).to(at::kDouble)));
  EXPECT_FALSE(at::equal(deployed, sum.detach().gt(0).to(at::kDouble))) << "the edge is met";
}

TEST(CoreLayer, ThePenaltyIsTheDerivativeOfItsSum) {
  Built built(overlapping(), {.penalty = 0.3});
  EXPECT_TRUE(built.layer->traits().penalises);
  Gradients store;
  IntoStore sink(store);
  built.layer->penalise(0.5, sink);
  const Tensor c = built.connections();
  const Tensor found = store.of_param(*built.layer->weight());
  const auto sum = [](const Tensor& of) { return 0.3 * (of * (1 - of)).sum().item<double>(); };
  for (int64_t i = 0; i < c.numel(); ++i) {
    Tensor up = c.clone(), down = c.clone();
    up.view(-1)[i] += 1e-4;
    down.view(-1)[i] -= 1e-4;
    EXPECT_NEAR(found.reshape({-1})[i].item<double>(), 0.5 * (sum(up) - sum(down)) / 2e-4, 1e-9);
  }
  Built without(overlapping());
  EXPECT_FALSE(without.layer->traits().penalises);
  struct None : Sink {
    void take(const LocalSignal&) override { ADD_FAILURE(); }
    void take(const ParamSignal&) override { ADD_FAILURE() << "a signal of no penalty"; }
  } none;
  without.layer->penalise(1, none);
}

TEST(CoreLayer, InputsOutsideOfZeroAndOneAreRefused) {
  for (const double wrong : {-0.001, 1.001, double(NAN), double(INFINITY)}) {
    Tensor x = probabilities_of({2, 3});
    x[1][2] = wrong;
    Saved saved;
    const OpPtr op = probabilities();
    expect_refusal([&] { op->forward({&x, 1}, saved, {}); }, "scale the data to [0, 1]");
  }
  const Tensor edge = at::tensor({0.0, 1.0}, at::kDouble).view({1, 2}), none = at::zeros({0, 2});
  Saved saved;
  EXPECT_TRUE(probabilities()->forward({&edge, 1}, saved, {}).is_same(edge));
  EXPECT_EQ(probabilities()->forward({&none, 1}, saved, {}).size(0), 0);
}

TEST(CoreLayer, ParametersHaveTheirBoundsAndBeginning) {
  Graph net;
  const int x = net.input({.shape = {256}, .kind = Kind::Probability});
  net.output(net.add(core_layer(single(256, 100)), {x}, "cores1"));
  initialise(net, Initialiser("he"), Stream(3).at("init"));
  const ParamPtr c = net.params()[0], b = net.params()[1];
  EXPECT_EQ(c->bounds, (Bounds{0, 1}));
  EXPECT_EQ(b->bounds, (Bounds{-255, 255}));
  EXPECT_EQ(largest(b->value), 0);
  EXPECT_GE(c->value.min().item<double>(), 0);
  EXPECT_NEAR(c->value.mean().item<double>(), 0.5, 0.01);
  EXPECT_NEAR(c->value.var().item<double>(), 1.0 / 12, 0.005);
}

TEST(ClassSums, NeuronsVoteByTheirNumber) {
  const Tensor n = at::arange(12, at::kDouble).view({2, 6}).div(12);
  Saved saved;
  const auto of = [&](ClassScore score) {
    return class_sums(3, score)->forward({&n, 1}, saved, {Mode::Train});
  };
  expect_close(of(ClassScore::Sums), n.narrow(1, 0, 3) + n.narrow(1, 3, 3), 1e-15, "sums");
  expect_close(of(ClassScore::Means), (n.narrow(1, 0, 3) + n.narrow(1, 3, 3)) / 2, 1e-15, "means");
  const Tensor sum = of(ClassScore::Sums);
  const Tensor var = (n * (1 - n)).narrow(1, 0, 3) + (n * (1 - n)).narrow(1, 3, 3);
  expect_close(of(ClassScore::Majority),
               0.5 * (1 + at::erf((sum / 2 - 0.5) / at::sqrt(2 * var / 4))), 1e-14, "majority");
  const Spec ten{{10}, Kind::Probability};
  expect_refusal([&] { class_sums(3)->infer({&ten, 1}); }, "use 9");
  const Spec two{{2}, Kind::Probability};
  expect_refusal([&] { class_sums(3)->infer({&two, 1}); }, "multiple of 3");
}

}  // namespace
}  // namespace altprop::cores::testing
