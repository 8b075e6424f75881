// A controller trained without derivatives: evolution strategies on a double integrator, whose best
// controller is known (Riccati's equation). The policy is an ODEtoODE network.
#include <altprop/base/error.h>
#include <altprop/network/architecture.h>
#include <altprop/network/init.h>
#include <altprop/rules/perturbation/antithetic.h>

#include <cstdio>

using namespace altprop;

namespace {

constexpr double kStep = 0.1, kEffort = 0.1;  // seconds; cost of a unit of force
constexpr int kHorizon = 50;

/// Mean over the starts of sum_t x^2 + v^2 + kEffort u^2, for mass 1 and force u.
/// @param policy force [B, 1] from place and speed [B, 2]
double cost_of(const std::function<Tensor(const Tensor&)>& policy, const Tensor& starts) {
  Tensor x = starts.narrow(1, 0, 1), v = starts.narrow(1, 1, 1);
  double sum = 0;
  for (int t = 0; t < kHorizon; ++t) {
    const Tensor u = policy(at::cat({x, v}, 1));
    sum += (x.square() + v.square() + kEffort * u.square()).mean().item<double>();
    x = x + kStep * v;
    v = v + kStep * u;
  }
  return sum;
}

/// The cost of the best controller: x^T P x with P from Riccati's recursion over the horizon.
double best_cost(const Tensor& starts) {
  const Tensor a = at::tensor({1.0, kStep, 0.0, 1.0}, at::kDouble).view({2, 2}),
               b = at::tensor({0.0, kStep}, at::kDouble).view({2, 1});
  Tensor p = at::zeros({2, 2}, at::kDouble);
  for (int t = 0; t < kHorizon; ++t) {
    const Tensor pb = p.mm(b), gain = b.t().mm(p).mm(a) / (kEffort + b.t().mm(pb));
    p = at::eye(2, at::kDouble) + a.t().mm(p).mm(a) - a.t().mm(pb).mm(gain);
  }
  const Tensor s = starts.to(at::kDouble);
  return (s.mm(p) * s).sum(1).mean().item<double>();
}

/// All weights that learn as one vector, and back.
std::vector<ParamPtr> learnt(const Graph& net) {
  std::vector<ParamPtr> out;
  for (const ParamPtr& param : net.params())
    if (param->learnt) out.push_back(param);
  return out;
}
Tensor gathered(const std::vector<ParamPtr>& params) {
  std::vector<Tensor> out;
  for (const ParamPtr& param : params) out.push_back(param->value.flatten());
  return at::cat(out);
}
void scatter(const std::vector<ParamPtr>& params, const Tensor& theta) {
  int64_t from = 0;
  for (const ParamPtr& param : params) {
    const int64_t n = param->value.numel();
    param->value.copy_(theta.narrow(0, from, n).view(param->value.sizes()));
    from += n;
  }
}

}  // namespace

int main() try {
  Graph net = network("ode-to-ode:2-8-1:tanh:flow=iso,steps=5", {.input_shape = {2}});
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  const std::vector<ParamPtr> params = learnt(net);
  const auto policy = [&](const Tensor& state) { return net.predict(state); };
  const Tensor starts = Stream(2).normal({16, 2});
  const double best = best_cost(starts);

  const AntitheticSettings how{.pairs = 32, .sigma = 0.05};
  Tensor theta = gathered(params), speed = at::zeros_like(theta);
  for (int64_t step = 0; step <= 100; ++step) {
    const Tensor along = antithetic_directions(how, theta.numel(), Stream(3).at(step), at::kFloat);
    Tensor above = at::empty({how.pairs}, at::kDouble), below = at::empty_like(above);
    for (int64_t j = 0; j < how.pairs; ++j) {
      scatter(params, theta + how.sigma * along[j]);
      above[j] = cost_of(policy, starts);
      scatter(params, theta - how.sigma * along[j]);
      below[j] = cost_of(policy, starts);
    }
    scatter(params, theta);
    if (step % 20 == 0)
      std::printf("step %3ld: cost %6.2f, best possible %.2f\n", static_cast<long>(step),
                  cost_of(policy, starts), best);
    // Steps of bounded length: costs of unstable controllers are huge.
    const Tensor gradient = at::mv(along.t(), antithetic_weights(how, above, below).to(at::kFloat));
    speed.mul_(0.9).add_(gradient / (1 + gradient.norm()));
    theta = theta - 0.02 * speed;
  }
} catch (const altprop::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
