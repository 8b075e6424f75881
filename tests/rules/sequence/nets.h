// Small recurrent networks in float64 for the tests of rules on sequences.
#pragma once

#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "rules/relaxation/fixture.h"

namespace altprop::testing {

/// @param last one target for the whole sequence instead of one per step
inline Graph recurrent(const std::string& text, int64_t length, bool last = false) {
  Graph net =
      network(text, {.input_shape = {length}, .classes = 5, .vocabulary = 5, .per_step = !last});
  net.to(at::kCPU, at::kDouble);
  initialise(net, Initialiser("normal:0.7"), Stream(3).at("init"));
  const Stream bias = Stream(4);
  for (const ParamPtr& p : net.params())
    if (p->name.ends_with("bias"))
      p->value = bias.at(p->name).normal(p->value.sizes(), at::kDouble);
  return net;
}

inline BatchOf sequences(int64_t length, bool last = false, int64_t batch = 3) {
  const Stream s = Stream(5);
  const auto draw = [&](const char* what, const std::vector<int64_t>& shape) {
    return s.at(what).uniform(0, 5, shape).to(at::kLong);
  };
  return {draw("x", {batch, length}), last ? draw("y", {batch}) : draw("y", {batch, length})};
}

/// Value of a parameter by its name.
inline Tensor value_of(const Graph& net, const std::string& name) {
  for (const ParamPtr& p : net.params())
    if (p->name == name) return p->value;
  throw std::out_of_range(name);
}

}  // namespace altprop::testing
