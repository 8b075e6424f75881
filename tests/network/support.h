// Helpers of the network tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "altprop/base/error.h"
#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "altprop/network/loss.h"

namespace altprop::test {

/// The sentence of the UsageError that `f` throws, or "no error".
inline std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline int64_t parameters(const Graph& net) {
  int64_t n = 0;
  for (const ParamPtr& param : net.params()) n += param->value.numel();
  return n;
}

/// Losses that compare real values with a target: all but those of flows and of spike times.
inline std::vector<std::string> losses_with_targets() {
  std::vector<std::string> out = loss_names();
  std::erase_if(out, [](const std::string& name) {
    const auto loss = make_loss(name);
    return loss->of_flows() || !loss->takes(Kind::Real);
  });
  return out;
}

/// A batch for the first input.
inline Tensor random_batch(const Graph& net, int64_t batch, at::ScalarType dtype = at::kFloat) {
  std::vector<int64_t> shape = net.node(net.input_nodes().at(0)).spec.shape;
  shape.insert(shape.begin(), batch);
  return Stream(7).at("data").normal(shape, dtype);
}

inline Graph ready(const std::string& text, const InputInfo& info = {}) {
  Graph net = network(text, info);
  initialise(net, Initialiser("he"), Stream(1));
  return net;
}

}  // namespace altprop::test
