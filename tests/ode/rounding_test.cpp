// Rounding errors of float32 over many steps: those of the symplectic method are no larger than
// those of ACA, these no larger than those of naive, and these about those of autograd.
#include <torch/csrc/autograd/autograd.h>

#include <ATen/core/grad_mode.h>

#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::Found;
using testing::pass;

constexpr int64_t kWidth = 6, kHidden = 32;

/// f = 6-32-32-6 with tanh in a block of rk4.
std::shared_ptr<Block> deep_block(int64_t steps, at::ScalarType type) {
  auto f = std::make_shared<Graph>();
  int h = f->input({{kWidth}}, "z");
  for (const char* name : {"a", "b"})
    h = f->add(activation("tanh"), {f->add(linear(kHidden), {h}, name)});
  f->output(f->add(linear(kWidth), {h}, "c"));
  auto out = std::make_shared<Block>(f, Problem{.solver = "rk4", .sizes = {.steps = steps}});
  Graph net;
  net.output(net.add(out, {net.input({{kWidth}})}, "ode"));
  net.to(at::kCPU, type);
  initialise(net, Initialiser("xavier"), Stream(4).at("init"));
  return out;
}

/// Credit of the input and gradients by autograd, with rk4 as one writes it down.
std::vector<Tensor> by_autograd(const Block& block, int64_t steps, const Tensor& x,
                                const Tensor& cot) {
  std::vector<Tensor> leaves = {x.clone().requires_grad_()};
  for (const ParamPtr& param : block.params())
    leaves.push_back(param->value.detach().clone().requires_grad_());
  at::AutoGradMode with_grad(true);
  const auto f = [&](const Tensor& z) {
    const Tensor h = at::tanh(at::linear(z, leaves[1], leaves[2]));
    return at::linear(at::tanh(at::linear(h, leaves[3], leaves[4])), leaves[5], leaves[6]);
  };
  const double h = 1.0 / static_cast<double>(steps);
  Tensor z = leaves[0];
  for (int64_t n = 0; n < steps; ++n) {
    const Tensor k1 = f(z), k2 = f(z + h / 2 * k1), k3 = f(z + h / 2 * k2), k4 = f(z + h * k3);
    z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
  }
  return torch::autograd::grad({z}, leaves, {cot});
}

/// Relative errors of the gradient of all parameters together and of the input's credit.
struct Errors {
  double parameters, input;
};

Tensor together(std::vector<Tensor> tensors) {
  for (Tensor& one : tensors) one = one.to(at::kDouble).flatten();
  return at::cat(tensors);
}

TEST(OdeRounding, InFloat32SymplecticIsNoWorseThanAcaAndThatNoWorseThanNaive) {
  at::NoGradGuard no_grad;
  const Tensor x = testing::draw("x", {4, kWidth}), cot = testing::draw("cot", {4, kWidth});
  for (const int64_t steps : {100, 1000, 3000}) {
    SCOPED_TRACE(steps);
    const auto block = deep_block(steps, at::kFloat), exact = deep_block(steps, at::kDouble);
    for (size_t i = 0; i < block->params().size(); ++i)
      exact->params()[i]->value.copy_(block->params()[i]->value);
    const Tensor x32 = x.to(at::kFloat), cot32 = cot.to(at::kFloat);
    const Found truth =
        pass(*exact, Gradient::Naive, x32.to(at::kDouble), cot32.to(at::kDouble));
    const auto errors = [&](const Tensor& of_input, std::vector<Tensor> of_params) {
      return Errors{apart(together(std::move(of_params)), together(truth.of_params)),
                    apart(of_input.to(at::kDouble), truth.of_input)};
    };
    const auto of = [&](Gradient gradient) {
      const Found found = pass(*block, gradient, x32, cot32);
      return errors(found.of_input, found.of_params);
    };
    std::vector<Tensor> taped = by_autograd(*block, steps, x32, cot32);
    const Errors autograd = errors(taped[0], {taped.begin() + 1, taped.end()}),
                 naive = of(Gradient::Naive), aca = of(Gradient::Aca),
                 symplectic = of(Gradient::Symplectic);
    EXPECT_LE(symplectic.parameters, 1.1 * aca.parameters);
    EXPECT_LE(aca.parameters, 1.1 * naive.parameters);
    // The same products in another order; ours are added up in one place.
    EXPECT_LE(naive.parameters, 3 * autograd.parameters);
    EXPECT_LE(symplectic.input, 1.1 * aca.input);
    EXPECT_LE(aca.input, 1.1 * naive.input);
    EXPECT_LE(naive.input, 2 * autograd.input);
    EXPECT_GT(naive.parameters, 1e-9) << "float32 is not float64";
  }
}

}  // namespace
}  // namespace altprop::ode
