// A neural ODE that learns the flow of a damped oscillation from pairs of a point and where it is
// one unit of time later: the mean squared error falls from about 1e-1 to below 1e-3 in seconds.
#include <altprop/base/error.h>
#include <altprop/network/gradients.h>
#include <altprop/network/init.h>
#include <altprop/network/ops/activation.h>
#include <altprop/network/ops/linear.h>
#include <altprop/ode/block.h>

#include <cstdio>

using namespace altprop;

namespace {

/// x(t1) of dx/dt = f(t, x) from x(t0), for functions that are no networks.
Tensor odeint(const std::function<Tensor(double, const Tensor&)>& f, const Tensor& x, double t0,
              double t1, const ode::StepSizes& sizes = {.rtol = 1e-8, .atol = 1e-8}) {
  const ode::Field field = [&f](double t, const Tensor& at) { return ode::Evaluation{f(t, at)}; };
  return ode::integrate(ode::tableau("dopri5"), field, x, t0, t1, sizes, {});
}

}  // namespace

int main() try {
  const Tensor spiral = at::tensor({-0.1, 2.0, -2.0, -0.1}).view({2, 2});
  const Tensor from = Stream(1).at("points").normal({256, 2});
  const Tensor to = odeint([&](double, const Tensor& x) { return x.mm(spiral.t()); }, from, 0, 1,
                           {.rtol = 1e-5, .atol = 1e-5});

  auto f = std::make_shared<Graph>();
  int h = f->add(linear(32), {f->input({{2}}, "z")}, "a");
  h = f->add(activation("tanh"), {h});
  f->output(f->add(linear(2), {h}, "b"));
  Graph net;
  net.output(
      net.add(ode::block(f, {.solver = "rk4", .sizes = {.steps = 5}}), {net.input({{2}})}, "ode"));
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  ode::set_gradient(net, ode::Gradient::Symplectic);

  // Momentum by hand: credits are per sample, of the summed loss, and 1 / 256 is the signals'
  // scale.
  Gradients momentum;
  Feedback exact;
  Activity activity;
  for (int step = 0; step <= 1500; ++step) {
    const Tensor error = net.run(from, activity, {Mode::Train}) - to;
    if (step % 300 == 0)
      std::printf("step %4d, mean squared error %.2e\n", step,
                  error.square().mean().item<double>());
    for (const ParamPtr& param : net.params())
      if (Slot* slot = momentum.of(*param)) slot->keep = 0.9, slot->fresh = true;
    net.sweep(activity, {{net.output_node(), error}}, exact, &momentum, {.scale = 1.0 / 256});
    for (const ParamPtr& param : net.params()) param->value.sub_(momentum.of_param(*param), 0.03);
  }
} catch (const altprop::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
