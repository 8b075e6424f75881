// What a network gives out is nobody else's memory: an operation behind an output that works in
// place must not write into it.
#include <gtest/gtest.h>

#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/linear.h"

namespace altprop::output_memory {
namespace {

/// Two outputs, of a linear layer and of the activation behind it, its only consumer.
struct TwoOutputs {
  Graph net;
  int first, second;
  explicit TwoOutputs(const std::string& function) {
    first = net.add(linear(5), {net.input({{4}})}, "fc");
    second = net.add(activation(function), {first}, "act");
    net.output(first);
    net.output(second);
    net.to(at::kCPU, at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(1));
  }
};

TEST(OutputMemory, AnActivationBehindAnOutputLeavesItAsItIs) {
  for (const char* function : {"relu", "tanh", "sigmoid", "hard-sigmoid"})
    for (const Mode mode : {Mode::Train, Mode::Eval})
      for (const bool keep : {false, true}) {
        SCOPED_TRACE(function);
        TwoOutputs two(function);
        const Tensor x = Stream(2).normal({6, 4}, at::kDouble);
        const Tensor weight = two.net.params()[0]->value, bias = two.net.params()[1]->value;
        const Tensor expected = at::addmm(bias, x, weight.t());
        ASSERT_LT(expected.min().item<double>(), 0);
        Activity activity;
        const Tensor out = two.net.run(x, activity, {mode}, {.keep_values = keep});
        EXPECT_LT((out - expected).abs().max().item<double>(), 1e-14);
        const Tensor behind = activity.values[static_cast<size_t>(two.second)];
        EXPECT_NE(out.data_ptr(), behind.data_ptr());
        EXPECT_GT((behind - expected).abs().max().item<double>(), 0.01);
      }
}

/// Where the activation is fused with its producer, there would be no value of the producer at all.
TEST(OutputMemory, AnOutputIsNotFusedAway) {
  TwoOutputs two("relu");
  two.net.to(at::kCPU, at::kFloat);
  const Tensor x = Stream(2).normal({6, 4});
  const Tensor out = two.net.predict(x);
  EXPECT_LT(out.min().item<double>(), 0) << "that of the activation was given out";
}

}  // namespace
}  // namespace altprop::output_memory
