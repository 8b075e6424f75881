// Controllers trained without derivatives: evolution strategies (Salimans et al. 2017, arXiv
// 1703.03864) on an ODEtoODE network, whose inputs are normalised by running means.
//
//   example_evolution_strategies integrator [STEPS]   a mass on a line: within 20 % of the cost of the
//                                                     best controller, which Riccati's equation tells
//   example_evolution_strategies pendulum [STEPS]     a pendulum that is to swing up by a weak motor
//
// Without words: the first, for 300 steps, about a minute.
#include <altprop/base/error.h>
#include <altprop/base/text.h>
#include <altprop/network/architecture.h>
#include <altprop/network/init.h>
#include <altprop/rules/perturbation/antithetic.h>

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <cstdio>
#include <cstring>

using namespace altprop;

namespace {

/// Force [B, 1] from what is observed [B, values].
using Policy = std::function<Tensor(const Tensor&)>;

/// What is to be controlled, from many starts at once.
struct Task {
  const char* name;
  int64_t observed;  ///< values
  Tensor starts;     ///< [B, ...]
  /// Mean over the starts of the cost of an episode.
  std::function<double(const Policy& policy, const Tensor& starts)> cost;
  double best;  ///< the lowest cost there is; 0: not known
};

// ---- a mass on a line: sum_t x^2 + v^2 + 0.1 u^2 for mass 1 and force u, 50 steps of 0.1 s ----

constexpr double kStep = 0.1, kEffort = 0.1;
constexpr int kHorizon = 50;

double integrator_cost(const Policy& policy, const Tensor& starts) {
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
double best_integrator_cost(const Tensor& starts) {
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

Task integrator() {
  const Tensor starts = Stream(2).normal({16, 2});
  return {"double integrator", 2, starts, integrator_cost, best_integrator_cost(starts)};
}

// ---- a pendulum, its angle from the top: the mean over 100 steps of 0.05 s of
// angle^2 + 0.1 speed^2 + 0.001 u^2, for a rod of 1 m and 1 kg, 10 m/s^2, and torques up to 2 N m ----

double pendulum_cost(const Policy& policy, const Tensor& starts) {
  constexpr int kSteps = 100;
  constexpr double kTime = 0.05;
  Tensor angle = starts.narrow(1, 0, 1), speed = starts.narrow(1, 1, 1);
  double sum = 0;
  for (int t = 0; t < kSteps; ++t) {
    const Tensor u = 2 * policy(at::cat({angle.cos(), angle.sin(), speed}, 1)).tanh();
    const Tensor from_top = at::atan2(angle.sin(), angle.cos());
    const Tensor cost = from_top.square() + 0.1 * speed.square() + 0.001 * u.square();
    sum += cost.mean().item<double>();
    speed = (speed + kTime * (15 * angle.sin() + 3 * u)).clamp(-8, 8);
    angle = angle + kTime * speed;
  }
  return sum / kSteps;
}

Task pendulum() {
  const Tensor hanging = Stream(2).uniform({8, 2}) - 0.5;  // about the bottom
  return {"pendulum", 3, hanging + at::tensor({static_cast<float>(M_PI), 0.0F}), pendulum_cost, 0};
}

// ---- training ----

/// Mean and deviation of all that was observed, which inputs are normalised by.
class Normaliser {
 public:
  explicit Normaliser(int64_t values)
      : sum_(at::zeros({values}, at::kDouble)),
        square_(at::zeros({values}, at::kDouble)),
        mean_(at::zeros({values})),
        deviation_(at::ones({values})) {}
  void see(const Tensor& observed) {
    count_ += static_cast<double>(observed.size(0));
    sum_.add_(observed.to(at::kDouble).sum(0));
    square_.add_(observed.to(at::kDouble).square().sum(0));
  }
  /// From now on by what was seen until now: all costs of a step are of one function.
  void settle() {
    mean_ = (sum_ / count_).to(at::kFloat);
    const Tensor variance = square_ / count_ - (sum_ / count_).square();
    deviation_ = variance.clamp_min(1e-4).sqrt().to(at::kFloat);
  }
  Tensor operator()(const Tensor& observed) const { return (observed - mean_) / deviation_; }

 private:
  double count_ = 0;
  Tensor sum_, square_, mean_, deviation_;
};

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

void train(const Task& task, int64_t steps) {
  Graph net = network(text::cat("ode-to-ode:", task.observed, "-8-1:tanh:flow=iso,steps=5"),
                      {.input_shape = {task.observed}});
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  const std::vector<ParamPtr> params = learnt(net);
  Normaliser normalised(task.observed);
  const Policy policy = [&](const Tensor& observed) { return net.predict(normalised(observed)); };
  const Policy watched = [&](const Tensor& observed) {
    normalised.see(observed);
    return policy(observed);
  };

  const AntitheticSettings how{.pairs = 32, .sigma = 0.05};
  Tensor theta = gathered(params), speed = at::zeros_like(theta);
  double cost = 0;
  for (int64_t step = 0; step <= steps; ++step) {
    scatter(params, theta);
    cost = task.cost(watched, task.starts);
    normalised.settle();
    if (step % 50 == 0) std::printf("step %3ld: cost %.2f\n", static_cast<long>(step), cost);
    if (step == steps) break;
    const Tensor along = antithetic_directions(how, theta.numel(), Stream(3).at(step), at::kFloat);
    Tensor above = at::empty({how.pairs}, at::kDouble), below = at::empty_like(above);
    for (int64_t j = 0; j < how.pairs; ++j) {
      scatter(params, theta + how.sigma * along[j]);
      above[j] = task.cost(policy, task.starts);
      scatter(params, theta - how.sigma * along[j]);
      below[j] = task.cost(policy, task.starts);
    }
    // Steps of bounded length: costs of unstable controllers are huge.
    const Tensor gradient = at::mv(along.t(), antithetic_weights(how, above, below).to(at::kFloat));
    speed.mul_(0.9).add_(gradient / (1 + gradient.norm()));
    theta = theta - 0.02 * speed;
  }
  if (task.best > 0)
    std::printf("%s: %.3f times the lowest cost\n", task.name, cost / task.best);
  else
    std::printf("%s: cost %.2f\n", task.name, cost);
}

}  // namespace

int main(int count, char** words) try {
  at::NoGradGuard no_grad;
  const auto steps = count > 2 ? text::to_integer(words[2]) : 300;
  if (!steps || *steps < 1) throw UsageError("the number of steps is a whole number from 1 on");
  train(count > 1 && std::strcmp(words[1], "pendulum") == 0 ? pendulum() : integrator(), *steps);
} catch (const altprop::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
