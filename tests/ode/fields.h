// Right-hand sides and networks that the tests of ODE blocks share.
#pragma once

#include "altprop/network/init.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/autograd.h"
#include "altprop/network/ops/linear.h"
#include "altprop/ode/block.h"
#include "altprop/ode/with_time.h"

namespace altprop::ode::testing {

/// linear(tanh(linear(z, t))), a parameter in both, of `width` values.
inline std::shared_ptr<Graph> timed_mlp(int64_t width, int64_t hidden = 5,
                                        const Spec& time = time_spec()) {
  auto f = std::make_shared<Graph>();
  const int z = f->input({{width}}, "z"), t = f->input(time, "t");
  int h = f->add(linear(hidden), {f->add(with_time(), {z, t}, "timed")}, "a");
  h = f->add(activation("tanh"), {h}, "squash");
  f->output(f->add(linear(width), {h}, "b"));
  return f;
}

inline Field plain(std::function<Tensor(double, const Tensor&)> f) {
  return [f](double t, const Tensor& x) { return Evaluation{f(t, x)}; };
}

/// A graph of f(t, z) = features(t, z) W^T without bias; W [1, n] is the only parameter.
inline std::shared_ptr<Graph> one_dimensional(
    std::function<Tensor(const Tensor& t, const Tensor& z)> features, const OpPtr& map) {
  auto f = std::make_shared<Graph>();
  const int z = f->input({{1}}, "z"), t = f->input(time_spec(), "t");
  const int h = f->add(autograd_op(
                           "features", [features](auto x) { return features(x[1], x[0]); }, 2),
                       {z, t}, "features");
  f->output(f->add(map, {h}, "map"));
  return f;
}

/// f = p0 tanh(x) + p1 t + p2 x t with p = (1.2, -0.5, 0.3).
inline std::shared_ptr<Graph> fixture_field() {
  const OpPtr map = linear(1, false);
  auto f = one_dimensional(
      [](const Tensor& t, const Tensor& z) {
        const Tensor time = at::zeros_like(z) + t;
        return at::cat({at::tanh(z), time, z * time}, 1);
      },
      map);
  map->params()[0]->value = at::tensor({1.2, -0.5, 0.3}, at::kDouble).view({1, 3});
  return f;
}

inline const std::vector<Gradient> kExact = {Gradient::Naive, Gradient::OneCheckpoint,
                                             Gradient::Aca, Gradient::Symplectic,
                                             Gradient::Binomial};

/// stem - ODE block - out.
inline Graph net_around(const std::shared_ptr<Graph>& f, const Problem& problem,
                        at::ScalarType type = at::kDouble) {
  Graph net;
  const int x = net.add(linear(6), {net.input({{9}})}, "stem");
  net.output(net.add(linear(5), {net.add(block(f, problem), {x}, "ode")}, "out"));
  net.to(at::kCPU, type);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  return net;
}

}  // namespace altprop::ode::testing
