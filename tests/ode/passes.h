// Passes through ODE blocks that tests of gradients share.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "altprop/tensor/memory.h"
#include "ode/fields.h"

namespace altprop::ode::testing {

/// What a call says that is refused, or ends with an error; "" if it does not.
inline std::string sentence_of_error(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline double apart(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

/// Most bytes alive in a forward and a reverse pass that frees what it has crossed, above what was
/// before and the result.
inline int64_t peak_of_pass(const Graph& net, const Tensor& x, const Tensor& cot) {
  Gradients sink;
  Feedback exact;
  int64_t out = 0;
  for (int warm = 0; warm < 2; ++warm) {
    Activity activity;
    sink.restart();
    memory::reset_peak(at::kCPU);
    const int64_t before = memory::alive(at::kCPU);
    net.run(x, activity, {Mode::Train});
    net.sweep(activity, {{net.output_node(), cot}}, exact, &sink, {.release = true});
    out = memory::peak(at::kCPU) - before;
  }
  return out;
}

/// Value, credit of the input and gradients of one pass.
struct Found {
  Tensor out, of_input;
  std::vector<Tensor> of_params;
  Record record;
};

inline Found pass(Block& block, const GradientMethod& gradient, const Tensor& x,
                  const Tensor& cot) {
  block.set_gradient(gradient);
  Saved saved;
  Found found;
  found.out = block.forward(std::vector<Tensor>{x}, saved, {Mode::Train});
  Feedback exact;
  Gradients sink;
  Sweep sweep{exact, &sink};
  const char wanted = 1;
  found.of_input = block.credit(saved, cot, {&wanted, 1}, nullptr, sweep)[0];
  found.of_params = sink.of_params(block.params());
  found.record = Block::record(saved);
  return found;
}

/// Of an mlp with its weights drawn.
inline std::shared_ptr<Block> drawn_block(const Problem& problem,
                                          at::ScalarType type = at::kDouble) {
  Graph net;
  const Spec time = problem.sizes.per_sample ? sample_time_spec() : time_spec();
  auto made = std::make_shared<Block>(timed_mlp(3, 5, time), problem);
  net.output(net.add(made, {net.input({{3}})}, "ode"));
  net.to(at::kCPU, type);
  initialise(net, Initialiser("normal:0.6"), Stream(4).at("init"));
  return made;
}

inline Tensor draw(const char* purpose, IntArrayRef shape = {4, 3}) {
  return Stream(9).at(purpose).normal(shape, at::kDouble);
}

inline void expect_same_gradients(const Found& found, const Found& exact, double tolerance) {
  EXPECT_LE(apart(found.of_input, exact.of_input), tolerance);
  for (size_t i = 0; i < exact.of_params.size(); ++i)
    EXPECT_LE(apart(found.of_params[i], exact.of_params[i]), tolerance) << i;
}

}  // namespace altprop::ode::testing
