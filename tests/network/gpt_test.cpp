// Transformers of network texts: what they are made of, that they are causal, that they learn, and what is refused.
#include <ATen/core/grad_mode.h>

#include "altprop/network/architecture.h"
#include "altprop/network/gradients.h"
#include "altprop/network/init.h"
#include "altprop/network/loss.h"
#include "network/close.h"

namespace altprop {
namespace {

InputInfo text_of(int64_t steps, int64_t tokens) {
  return {.input_shape = {steps}, .classes = tokens, .vocabulary = tokens, .per_step = true};
}

Graph small(const std::string& settings = "heads=2") {
  Graph net = network("gpt:*-8x2-*:" + settings, text_of(6, 11));
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  net.to(at::kCPU, at::kDouble);
  return net;
}

Tensor tokens() { return Stream(5).uniform(0, 11, {4, 6}).to(at::kLong); }

TEST(Gpt, EveryProductIsALayerWithItsName) {
  const Graph net = small();
  std::vector<std::string> names;
  for (const ParamPtr& p : net.params())
    if (p->value.dim() == 2) names.push_back(p->name);
  EXPECT_EQ(names, (std::vector<std::string>{
                       "tokens.weight", "positions.bias", "block1.qkv.weight", "block1.out.weight",
                       "block1.up.weight", "block1.down.weight", "block2.qkv.weight",
                       "block2.out.weight", "block2.up.weight", "block2.down.weight",
                       "output.weight"}));
  int64_t numbers = 0;
  for (const ParamPtr& p : net.params()) numbers += p->value.numel();
  // Table and positions, four products with biases and two norms for each block, norm and output.
  const int64_t block = 8 * 24 + 24 + 8 * 8 + 8 + 8 * 32 + 32 + 32 * 8 + 8 + 2 * 16;
  EXPECT_EQ(numbers, 11 * 8 + 6 * 8 + 2 * block + 16 + 8 * 11);
}

TEST(Gpt, SmallerInitialValuesEndEachBranch) {
  Graph net = network("gpt:*-64x2-*", text_of(6, 50));
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  for (const ParamPtr& p : net.params()) {
    if (p->value.dim() != 2) continue;
    const bool last = p->name.ends_with("out.weight") || p->name.ends_with("down.weight");
    EXPECT_NEAR(p->value.std().item<double>() / (last ? 0.01 : 0.02), 1, 0.2) << p->name;
  }
}

TEST(Gpt, WhatComesLaterChangesNothing) {
  at::NoGradGuard no_grad;
  for (const char* settings : {"heads=2", "heads=1,norm=rms,tied=true,bias=false"}) {
    Graph net = small(settings);
    Tensor x = tokens();
    const Tensor before = net.predict(x);
    EXPECT_EQ(before.sizes(), IntArrayRef({4, 6, 11}));
    x.narrow(1, 3, 3).fill_(7);
    const Tensor after = net.predict(x);
    expect_close(after.narrow(1, 0, 3), before.narrow(1, 0, 3), 1e-14, settings);
    EXPECT_FALSE(at::allclose(after.narrow(1, 3, 3), before.narrow(1, 3, 3)));
  }
}

TEST(Gpt, GradientsAreCentralDifferences) {
  at::NoGradGuard no_grad;
  for (const char* settings : {"heads=2,activation=tanh", "heads=4,norm=rms,tied=true"}) {
    Graph net = small(settings);
    for (const ParamPtr& p : net.params())
      p->value.copy_(Stream(3).at(p->name).normal(p->value.sizes(), at::kDouble) * 0.3);
    const Tensor x = tokens(), cot = Stream(4).normal({4, 6, 11}, at::kDouble);
    Activity activity;
    net.run(x, activity, {Mode::Train});
    Feedback exact;
    Gradients found;
    net.sweep(activity, {{net.output_node(), cot}}, exact, &found);
    for (const ParamPtr& p : net.params()) {
      // Along one direction for each parameter.
      const Tensor way = Stream(6).at(p->name).normal(p->value.sizes(), at::kDouble), kept = p->value.clone();
      const auto value = [&](double step) {
        p->value.copy_(kept + step * way);
        return (net.predict(x) * cot).sum().item<double>();
      };
      const double expected = (value(1e-5) - value(-1e-5)) / 2e-5;
      p->value.copy_(kept);
      EXPECT_NEAR((found.of_param(*p) * way).sum().item<double>(), expected,
                  1e-6 * std::max(1.0, std::abs(expected)))
          << settings << " " << p->name;
    }
  }
}

TEST(Gpt, RefusesWhatDoesNotFit) {
  const auto refused = [](const std::string& net, const InputInfo& info, const std::string& why) {
    try {
      network(net, info);
      ADD_FAILURE() << net << " was made";
    } catch (const UsageError& e) {
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  };
  const InputInfo text = text_of(6, 11);
  refused("gpt", text, "sizes are missing");
  refused("gpt:*-8x2-*:heads=3", text, "3 heads do not divide");
  refused("gpt:*-8-6-*:heads=2", text, "one width");
  refused("gpt:12-8-*:heads=2", text, "the data have 11");
  refused("gpt:*-8-*:heads=2,length=7", text, "sequences of 6");
  refused("gpt:11-8-12:heads=2", {}, "length=64");
  refused("gpt:*-8-12:heads=2,length=5", {}, "write their number");
  refused("gpt:11-8-12:heads=2,length=5,tied=true", {}, "as many outputs as tokens");
  refused("gpt:*-8-*:heads=2", {.input_shape = {784}, .classes = 10}, "real numbers");
  refused("gpt:*-8-*:heads=2", {.input_shape = {6}, .classes = 3, .vocabulary = 11}, "one target");
}

}  // namespace
}  // namespace altprop
