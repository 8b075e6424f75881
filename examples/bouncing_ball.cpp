// Solving an equation without a network around: with which speed a ball has to be thrown to be 1.5 m
// high after two seconds, between its first and its second bounce. An event ends the first part, a
// jump reflects the ball, and credit passes back through the whole chain, the time of the bounce
// included. Prints a speed of 5.832 m/s and a height of 1.500 m.
#include <altprop/base/error.h>
#include <altprop/network/gradients.h>
#include <altprop/network/ops/linear.h>
#include <altprop/ode/odeint.h>

#include <cstdio>

using namespace altprop;

int main() try {
  const double bounce = 0.8, end = 2, wanted = 1.5;
  // dx/dt of x = (height, speed), with air in the way: a coefficient that is a parameter.
  const auto drag = std::make_shared<Param>("drag", at::full({1}, 0.1, at::kDouble));
  const auto f = ode::function({.value =
                                    [](const Tensor&, const Tensor& x, std::span<const Tensor> p) {
                                      const Tensor speed = x.narrow(1, 1, 1);
                                      return at::cat({speed, -speed * p[0] - 9.81}, 1);
                                    },
                                .params = {drag}},
                               {2});
  // The event: the height changes its sign, downwards.
  auto height = std::make_shared<Graph>();
  const int z = height->input({{2}}, "z");
  height->input(ode::sample_time_spec(), "t");
  const OpPtr first = linear(1, false);
  height->output(height->add(first, {z}, "height"));
  first->params()[0]->value = at::tensor({1.0, 0.0}, at::kDouble).view({1, 2});

  const Tensor reflected = at::tensor({1.0, -bounce}, at::kDouble);
  double speed = 5;
  for (int step = 0; step <= 20; ++step) {
    const Tensor x0 = at::tensor({1.0, speed}, at::kDouble).view({1, 2});
    const ode::Arrival hit = ode::odeint_until(f, x0, 0.0, {.g = height, .direction = -1});
    const Tensor times = at::stack({hit.times, at::full({1}, end, at::kDouble)}, 1);
    const ode::Solution flight = ode::odeint(f, hit.x * reflected, times);
    const double reached = flight.outputs[0][1][0].item<double>();
    if (step % 5 == 0)
      std::printf("thrown with %.3f m/s it bounces at %.3f s and is %.3f m high\n", speed,
                  hit.times[0].item<double>(), reached);
    // Credit of the height at the end, through the flight, the bounce and the fall.
    Tensor cot = at::zeros_like(flight.outputs);
    cot[0][1][0] = 1;
    Gradients of_drag;
    const ode::Pulled after = ode::ode_vjp(flight, cot, &of_drag);
    const ode::Pulled before =
        ode::ode_vjp(hit, after.of_x0 * reflected, after.of_times.select(1, 0), &of_drag);
    speed -= (reached - wanted) / before.of_x0[0][1].item<double>();  // Newton's method
    if (step == 20)
      std::printf("%.4f m less for a drag of 0.01 / s more\n",
                  -0.01 * of_drag.of_param(*drag).item<double>());
  }
} catch (const altprop::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
