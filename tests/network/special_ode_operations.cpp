// Those of neural ODEs and flows.
#include <ATen/ops/pixel_unshuffle.h>

#include <cmath>
#include <numbers>

#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"
#include "altprop/ode/bijection.h"
#include "altprop/ode/energy_field.h"
#include "altprop/ode/flow_field.h"
#include "altprop/ode/time_gate.h"
#include "network/special_operations.h"
#include "ode/fields.h"

namespace altprop::test {

namespace {

/// Two Euler steps of linear(tanh(linear(z, t))) to the time 1.
Tensor euler(Values v) {
  Tensor z = v[0];
  for (const double t : {0.0, 0.5}) {
    const Tensor timed = at::cat({at::full({z.size(0), 1}, t, z.options()), z}, 1);
    z = z + 0.5 * at::linear(at::linear(timed, v[1], v[2]).tanh(), v[3], v[4]);
  }
  return z;
}

/// linear(tanh(linear z)) with the trace of its Jacobian, by a unit vector for each value.
Tensor flow_of_two(Values v) {
  const Tensor z = v[0].narrow(1, 0, 2), h = at::linear(z, v[1], v[2]).tanh();
  Tensor trace = at::zeros({z.size(0)}, z.options());
  for (int64_t k = 0; k < 2; ++k) {
    Tensor unit = at::zeros(z.sizes(), z.options().requires_grad(false));
    unit.select(1, k).fill_(1);
    trace = trace + at::linear(at::linear(unit, v[1]) * (1 - h * h), v[3]).select(1, k);
  }
  return at::cat({at::linear(h, v[3], v[4]), -trace.unsqueeze(1)}, 1);
}

/// Values of a flow's state and of its log density.
std::pair<Tensor, Tensor> values_and_log(const Tensor& x) {
  return {x.narrow(1, 0, x.size(1) - 1), x.narrow(1, x.size(1) - 1, 1)};
}

Tensor logit_of(const Tensor& x, double alpha) {
  const auto [z, l] = values_and_log(x);
  const Tensor y = alpha + (1 - 2 * alpha) * z, rest = alpha + (1 - 2 * alpha) * (1 - z);
  return at::cat({y.log() - rest.log(),
                  l + (y.log() + rest.log() - std::log(1 - 2 * alpha)).sum(1, true)},
                 1);
}

Tensor squeezed(const Tensor& x) {
  const auto [z, l] = values_and_log(x);
  return at::cat({at::pixel_unshuffle(z.view({-1, 1, 2, 4}), 2).flatten(1), l}, 1);
}

Tensor factored(const Tensor& x, int64_t keep) {
  const auto [z, l] = values_and_log(x);
  const Tensor left = z.narrow(1, keep, z.size(1) - keep);
  const double constant = 0.5 * double(left.size(1)) * std::log(2 * std::numbers::pi);
  return at::cat({z.narrow(1, 0, keep), l + 0.5 * left.square().sum(1, true) + constant}, 1);
}

}  // namespace

std::vector<Special> ode_operations() {
  const auto op = [](auto make, auto... args) {
    return std::function<OpPtr()>([=] { return make(args...); });
  };
  std::vector<Special> out;
  out.push_back({"ode",
                 {"ode", "with-time"},
                 [] {
                   return ode::block(ode::testing::timed_mlp(3),
                                     {.solver = "euler", .sizes = {.steps = 2}});
                 },
                 {{3, 3}},
                 euler});
  out.push_back({"ode_gated",
                 {"time-gate"},
                 [] {
                   auto f = std::make_shared<Graph>();
                   const int z = f->input({{3}}, "z"), t = f->input(ode::time_spec(), "t");
                   f->output(f->add(ode::time_gate(), {f->add(linear(3), {z}, "a"), t}, "gate"));
                   return ode::block(f, {.solver = "euler", .sizes = {.steps = 2}});
                 },
                 {{3, 3}},
                 [](Values v) {
                   Tensor z = v[0];
                   for (const double t : {0.0, 0.5})
                     z = z +
                         0.5 * (at::linear(z, v[1], v[2]) * (v[3] * t + v[4]).sigmoid() + v[5] * t);
                   return z;
                 }});
  out.push_back({.name = "flow",
                 .words = {"flow"},
                 .make =
                     [] {
                       auto g = std::make_shared<Graph>();
                       const int h = g->add(linear(4), {g->input({{2}}, "z")}, "a");
                       g->output(g->add(linear(2), {g->add(activation("tanh"), {h})}, "b"));
                       return ode::flow_field(g);
                     },
                 .shapes = {{3, 3}},
                 .library = flow_of_two,
                 .in_terms = true});
  out.push_back({.name = "energy",
                 .words = {"energy"},
                 .make =
                     [] {
                       auto h = std::make_shared<Graph>();
                       const int a = h->add(linear(4), {h->input({{5}}, "u")}, "a");
                       h->output(h->add(linear(2, false), {h->add(activation("tanh"), {a})}, "b"));
                       return ode::energy_field(h, ode::Structure::Difference, 0.5);
                     },
                 .shapes = {{3, 5}},
                 .library =
                     [](Values v) {
                       const Tensor h = at::linear(v[0], v[1], v[2]).tanh();
                       const Tensor ones = at::ones({h.size(0), v[3].size(0)}, h.options());
                       const Tensor field = at::mm(at::mm(ones, v[3]) * (1 - h * h), v[1]);
                       return field.roll(-1, 1) - field.roll(1, 1);
                     },
                 .in_terms = true});
  out.push_back({"zero_channels", {"zero-channels"}, op(ode::zero_channels, 2), {{3, 5}}, [](Values v) {
                   return at::constant_pad_nd(v[0], {0, 2});
                 }});
  out.push_back({.name = "dequantise",
                 .words = {"dequantise"},
                 .make = op(ode::dequantise, 4),
                 .shapes = {{3, 5}},
                 .library =
                     [](Values v) {
                       const Tensor noise = Stream(5).at("dequantise").uniform_rows(
                           {}, v[0].sizes(), v[0].options().requires_grad(false));
                       return (3 * v[0] + noise) / 4;
                     },
                 .unit_interval = true});
  out.push_back({.name = "logit",
                 .words = {"logit"},
                 .make = op(ode::logit, 0.05),
                 .shapes = {{3, 5}},
                 .library = [](Values v) { return logit_of(v[0], 0.05); },
                 .in_terms = true,
                 .unit_interval = true});
  out.push_back({"squeeze", {"squeeze"}, [] { return ode::squeeze({1, 2, 4}); }, {{3, 9}}, [](Values v) {
                   return squeezed(v[0]);
                 }});
  out.push_back({.name = "factor_out",
                 .words = {"factor-out"},
                 .make = op(ode::factor_out, 2),
                 .shapes = {{3, 6}},
                 .library = [](Values v) { return factored(v[0], 2); },
                 .in_terms = true});
  return out;
}

}  // namespace altprop::test
