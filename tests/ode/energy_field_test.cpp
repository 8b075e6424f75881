// Gradients of energies as right-hand sides: against autograd, conservation, and each other.
#include "altprop/ode/energy_field.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/generated/variable_factories.h>

#include <ATen/core/grad_mode.h>

#include "altprop/network/ops/circular_pad.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/diagonal.h"
#include "altprop/network/ops/shape.h"
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

/// HNN++ on a periodic grid of one channel: sums of conv1 tanh conv1 tanh conv3.
std::shared_ptr<Graph> grid_energy(int64_t points, int64_t hidden = 3) {
  auto h = std::make_shared<Graph>();
  int at = h->add(circular_pad(1), {h->input({{1, points}}, "u")}, "pad");
  at = h->add(conv1d({.out = hidden, .kernel = 3}), {at}, "a");
  at = h->add(activation("tanh"), {at});
  at = h->add(conv1d({.out = hidden, .kernel = 1}), {at}, "b");
  at = h->add(activation("tanh"), {at});
  h->output(h->add(conv1d({.out = 1, .kernel = 1, .bias = false}), {at}, "c"));
  return h;
}

std::shared_ptr<Graph> dense_energy(int64_t width, int64_t hidden = 6) {
  auto h = std::make_shared<Graph>();
  int at = h->add(linear(hidden), {h->input({{width}}, "u")}, "a");
  at = h->add(activation("softplus"), {at});
  h->output(h->add(linear(1, false), {at}, "b"));
  return h;
}

void draw_energy(const Op& op) {
  int64_t i = 0;
  for (const ParamPtr& p : op.params())
    p->value = Stream(5).at("energy").at(i++).normal(p->value.sizes(), at::kDouble) * 0.7;
}

TEST(EnergyField, KeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  for (const Structure by : {Structure::Identity, Structure::Difference, Structure::Laplacian})
    check_op(energy_field(grid_energy(5), by, 0.5), {{2, 1, 5}}, {.along_parameters = false});
  check_op(energy_field(dense_energy(4), Structure::Canonical), {{3, 4}},
           {.along_parameters = false});
}

TEST(EnergyField, IsAutogradsGradientTimesTheMatrix) {
  constexpr int64_t kPoints = 6;
  constexpr double kDx = 0.4;
  for (const Structure by : {Structure::Identity, Structure::Difference, Structure::Laplacian}) {
    const OpPtr op = energy_field(grid_energy(kPoints), by, kDx);
    op->build(std::vector<Spec>{{.shape = {1, kPoints}}});
    draw_energy(*op);
    const Tensor u = draw("u", {3, 1, kPoints}), cot = draw("cot", {3, 1, kPoints});
    Saved saved;
    Tensor out, of_input;
    Gradients sink;
    {
      at::NoGradGuard no_grad;
      out = op->forward(std::vector<Tensor>{u}, saved, {Mode::Train});
      Feedback exact;
      Sweep sweep{exact, &sink};
      const char wanted = 1;
      of_input = op->credit(saved, cot, {&wanted, 1}, nullptr, sweep)[0];
    }
    Tensor s = at::zeros({kPoints, kPoints}, at::kDouble);
    for (int64_t i = 0; i < kPoints; ++i) {
      const int64_t next = (i + 1) % kPoints, before = (i + kPoints - 1) % kPoints;
      if (by == Structure::Identity) s[i][i] = 1;
      if (by == Structure::Difference) {
        s[i][next] = 1 / (2 * kDx);
        s[i][before] = -1 / (2 * kDx);
      }
      if (by == Structure::Laplacian) {
        s[i][next] = 1 / (kDx * kDx);
        s[i][before] = 1 / (kDx * kDx);
        s[i][i] = -2 / (kDx * kDx);
      }
    }
    at::AutoGradMode with_grad(true);
    std::vector<Tensor> leaves = {u.clone().requires_grad_()};
    for (const ParamPtr& p : op->params())
      leaves.push_back(p->value.detach().clone().requires_grad_());
    const Tensor padded =
        at::cat({leaves[0].narrow(2, kPoints - 1, 1), leaves[0], leaves[0].narrow(2, 0, 1)}, 2);
    const Tensor hidden = at::tanh(
        at::conv1d(at::tanh(at::conv1d(padded, leaves[1], leaves[2])), leaves[3], leaves[4]));
    const Tensor energy = at::conv1d(hidden, leaves[5]).sum();
    const Tensor field =
        at::linear(torch::autograd::grad({energy}, {leaves[0]}, {}, true, true)[0], s);
    EXPECT_LE(apart(out, field.detach()), 1e-14);
    const auto grads = torch::autograd::grad({field}, leaves, {cot}, {}, false, true);
    EXPECT_LE(apart(of_input, grads[0]), 1e-13);
    for (size_t i = 0; i < op->params().size(); ++i)
      EXPECT_LE(apart(sink.of_param(*op->params()[i]), grads[i + 1]), 1e-13) << i;
  }
}

TEST(EnergyField, ExactMethodsAgreeAndTheEnergyIsConserved) {
  at::NoGradGuard no_grad;
  for (const Structure by : {Structure::Difference, Structure::Laplacian}) {
    const auto made = std::make_shared<EnergyField>(grid_energy(6), by, 0.8);
    auto f = std::make_shared<Graph>();
    f->output(f->add(made, {f->input({{1, 6}}, "z")}, "energy"));
    Block block(f, {.solver = "dopri8", .end_time = 0.5, .sizes = {.steps = 8}});
    draw_energy(block);
    const Tensor x = draw("x", {3, 1, 6}), cot = draw("cot", {3, 1, 6});
    const Found naive = pass(block, Gradient::Naive, x, cot);
    for (const Gradient gradient : kExact)
      testing::expect_same_gradients(pass(block, gradient, x, cot), naive, 1e-12);
    const Tensor before = made->energy({&x, 1}), after = made->energy({&naive.out, 1});
    const double moved = largest(after - before);
    if (by == Structure::Difference) {
      EXPECT_LE(moved, 1e-10);
    } else {
      EXPECT_GT(moved, 1e-3);
      EXPECT_TRUE(after.le(before).all().item<bool>());  // a gradient flow goes down
    }
    EXPECT_GT(largest(naive.out - x), 0.05);
  }
}

TEST(EnergyField, OddEnergiesAreRefused) {
  EXPECT_THROW(energy_field(dense_energy(3), Structure::Canonical), Refusal);
  EXPECT_THROW(energy_field(dense_energy(3), Structure::Difference, 0), UsageError);
  auto kinked = std::make_shared<Graph>();
  kinked->output(kinked->add(relu(), {kinked->input({{3}})}, "kink"));
  Graph net;
  const std::string why =
      test::message_of([&] { net.add(energy_field(kinked), {net.input({{3}})}, "energy"); });
  EXPECT_TRUE(test::contains(why, "'kink' (relu)")) << why;
}

}  // namespace
}  // namespace altprop::ode
