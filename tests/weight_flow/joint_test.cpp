// State and weights as one differential equation, in an ODE block with plain Runge-Kutta steps:
// every exact gradient method is backpropagation through those steps.
#include <torch/csrc/autograd/autograd.h>

#include <ATen/core/grad_mode.h>

#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;

constexpr int64_t kWidth = 3, kRows = 2, kSteps = 4;

/// Of z = (x, W row by row), each sample with a W of its own: x' = tanh(W x), W' = W [W^T Q W, N].
Tensor slope(const Tensor& z, const Tensor& q, const Tensor& n) {
  const Tensor x = z.narrow(1, 0, kWidth),
               w = z.narrow(1, kWidth, kWidth * kWidth).reshape({-1, kWidth, kWidth});
  const Tensor h = at::matmul(at::matmul(w.transpose(1, 2), q), w);
  const Tensor omega = at::matmul(h, n) - at::matmul(n, h);
  return at::cat(
      {at::tanh(at::matmul(w, x.unsqueeze(2)).squeeze(2)), at::matmul(w, omega).flatten(1)}, 1);
}

std::shared_ptr<Block> joint_block(const std::string& solver) {
  auto f = std::make_shared<Graph>();
  const int z = f->input({{kWidth + kWidth * kWidth}}, "z");
  f->input(time_spec(), "t");
  const Spec matrix{.shape = {kWidth, kWidth}, .batched = false};
  const int q = f->input(matrix, "Q"), n = f->input(matrix, "N");
  const auto joint = [](auto in) { return slope(in[0], in[1], in[2]); };
  f->output(f->add(autograd_op("joint", joint, 3), {z, q, n}, "joint"));
  return std::make_shared<Block>(f, Problem{.solver = solver, .sizes = {.steps = kSteps}});
}

/// The end, and by autograd the credits of z(0), Q and N.
std::vector<Tensor> unrolled_joint(const std::string& solver, const std::vector<Tensor>& in,
                                   const Tensor& cot) {
  at::AutoGradMode with_grad(true);
  std::vector<Tensor> leaves;
  for (const Tensor& one : in) leaves.push_back(one.clone().requires_grad_());
  const auto f = [&](const Tensor& z) { return slope(z, leaves[1], leaves[2]); };
  const double h = 1.0 / static_cast<double>(kSteps);
  Tensor z = leaves[0], v = f(z);
  for (int64_t step = 0; step < kSteps; ++step) {
    if (solver == "alf") {
      const Tensor middle = z + h / 2 * v;
      v = 2 * f(middle) - v;
      z = middle + h / 2 * v;
      continue;
    }
    const Tableau& method = tableau(solver);
    std::vector<Tensor> k;
    for (int i = 0; i < method.stages(); ++i) {
      Tensor state = z;
      for (int j = 0; j < i; ++j) state = state + h * method.a(i, j) * k[static_cast<size_t>(j)];
      k.push_back(f(state));
    }
    for (int i = 0; i < method.stages(); ++i) z = z + h * method.b(i) * k[static_cast<size_t>(i)];
  }
  std::vector<Tensor> out = torch::autograd::grad({z}, leaves, {cot});
  out.insert(out.begin(), z.detach());
  return out;
}

TEST(JointFlow, OfStateAndWeightsHasTheGradientOfItsSteps) {
  at::NoGradGuard no_grad;
  const auto symmetric = [](const Tensor& m) { return (m + m.t()) / 2; };
  const Tensor start = at::eye(kWidth, at::kDouble).flatten().expand({kRows, -1});
  const std::vector<Tensor> in = {at::cat({draw("x", {kRows, kWidth}), start}, 1),
                                  symmetric(draw("q", {kWidth, kWidth})) / 2,
                                  symmetric(draw("n", {kWidth, kWidth})) / 2};
  const Tensor cot = draw("cot", in[0].sizes());
  for (const std::string solver : {"euler", "rk4", "dopri5", "alf"}) {
    const auto block = joint_block(solver);
    const std::vector<Tensor> expected = unrolled_joint(solver, in, cot);
    std::vector<Gradient> methods = testing::kExact;
    if (solver == "alf") methods.push_back(Gradient::Mali);
    for (const Gradient gradient : methods) {
      SCOPED_TRACE(solver + ' ' + gradient_names()[static_cast<size_t>(gradient)]);
      block->set_gradient(gradient);
      Saved saved;
      EXPECT_LE(apart(block->forward(in, saved, {Mode::Train}), expected[0]), 1e-13);
      Feedback exact;
      Sweep sweep{exact};
      const std::vector<char> wanted(3, 1);
      const Credits found = block->credit(saved, cot, wanted, nullptr, sweep);
      // Steps that are taken back have the rounding errors of the way there and back.
      const double most = gradient == Gradient::Mali ? 1e-11 : 1e-13;
      for (size_t i = 0; i < found.size(); ++i)
        EXPECT_LE(apart(found[i], expected[i + 1]), most) << i;
    }
  }
}

}  // namespace
}  // namespace altprop::ode
