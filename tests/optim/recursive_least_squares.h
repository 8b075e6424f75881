// A network that learns through recursive least squares, for its tests.
#pragma once

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "altprop/network/ops/linear.h"
#include "altprop/optim/own_updater.h"
#include "altprop/rules/rule.h"
#include "support/exact_signals.h"

namespace altprop::directions {

inline const OptimizerSettings kWholeSteps{.kind = "sgd", .lr = 1};

inline Tensor numbers(std::initializer_list<double> values) {
  return at::tensor(std::vector<double>(values), at::kDouble);
}

/// A network that learns by backprop through the direction, in float64.
struct Learning {
  Graph net;
  std::unique_ptr<Loss> loss = make_loss("squared-error");
  std::shared_ptr<Direction> direction;
  OwnUpdater updater;

  Learning(Graph of, const OptionValues& options, const OptimizerSettings& settings = kWholeSteps)
      : net(std::move(of)),
        direction(make_direction("recursive-least-squares", options)),
        updater(settings) {
    net.to(at::kCPU, at::kDouble);
    direction->admit(net);
    updater.set_direction(direction);
    updater.set_in_place(true);  // which a direction turns off
    updater.bind(net.params());
  }
  void signals(const Tensor& x, const Tensor& y, Sink& sink) {
    at::NoGradGuard no_grad;
    test::send_exact(net, *loss, x, y, sink);
  }
  void step(const Tensor& x, const Tensor& y) {
    signals(x, y, updater);
    updater.apply();
  }
  Tensor value(size_t i) const { return net.params()[i]->value; }
  /// The inverse autocorrelation of a weight, as a checkpoint holds it.
  Tensor p(const std::string& weight) {
    TensorMap map;
    updater.state(StateIO::saving(map));
    return map.at("direction." + weight + ".p");
  }
};

inline Graph affine(int64_t in, int64_t out, bool bias = true) {
  Graph net;
  net.output(net.add(linear(out, bias), {net.input({{in}})}, "fc"));
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(3).at("init"));
  return net;
}

inline void expect_close(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_EQ(a.sizes(), b.sizes());
  EXPECT_LT((a - b).abs().max().item<double>(), tolerance) << a << b;
}

inline Graph small_conv_net() {
  Graph net = network("chain: conv 3 k=3 p=1, tanh, conv 4 k=3 s=2, tanh, linear *",
                      {.input_shape = {2, 7, 7}, .classes = 3});
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("xavier"), Stream(3).at("init"));
  return net;
}

inline Tensor images(int64_t n, int64_t number = 0) {
  return Stream(5).at(number).uniform(0, 1, {n, 2, 7, 7}, at::kDouble);
}
inline Tensor wanted(int64_t n, int64_t number = 0) {
  return Stream(6).at(number).normal({n, 3}, at::kDouble);
}

template <class Act>
std::string sentence(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

inline void expect_says(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

}  // namespace altprop::directions
