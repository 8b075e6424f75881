// Depth-mu-P: what a hidden layer holds at the start depends neither on width nor on depth.
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "network/support.h"

namespace altprop {
namespace {

/// Root mean square of what enters the last layer.
double hidden_size(int width, int depth, const std::string& parameters) {
  Graph net =
      network(text::cat("mlp:64-", width, "x", depth, "-10:tanh:residual=true,param=", parameters));
  initialise(net, Initialiser("he"), Stream(1).at("init"));
  Activity activity;
  const Tensor x = Stream(2).normal({64, 64}, at::kFloat);
  net.run(x, activity, {Mode::Eval}, {.keep_values = true});
  int last = net.output_node();
  while (!net.node(last).op->weight()) last = net.node(last).inputs[0];
  const Tensor hidden = activity.values[static_cast<size_t>(net.node(last).inputs[0])];
  return hidden.square().mean().sqrt().item<double>();
}

TEST(Parameterisation, HiddenValuesDependNeitherOnWidthNorOnDepth) {
  const double small = hidden_size(32, 5, "mupc");
  EXPECT_GT(small, 0.5);
  EXPECT_LT(small, 2);
  for (const auto& [width, depth] : {std::pair{256, 5}, {32, 40}, {256, 40}})
    EXPECT_NEAR(hidden_size(width, depth, "mupc") / small, 1, 0.35) << width << " x " << depth;
  EXPECT_GT(hidden_size(32, 40, "standard") / hidden_size(32, 5, "standard"), 2);
}

TEST(Parameterisation, WeightsHaveUnitVarianceAndFactorsBehindThem) {
  Graph net = network("mlp:64-16x3-10:tanh:residual=true,param=mupc");
  initialise(net, Initialiser("he"), Stream(1).at("init"));
  std::vector<std::string> factors;
  for (const Node& node : net.nodes())
    if (node.op && node.op->type() == "scale") factors.push_back(node.op->settings());
  EXPECT_EQ(factors, (std::vector<std::string>{"factor=0.125", "factor=0.125", "factor=0.125",
                                               "factor=0.0625"}))
      << "1/sqrt(64), twice 1/sqrt(16 * 4 layers), 1/16";
  for (const ParamPtr& param : net.params())
    if (param->value.dim() == 2) {
      EXPECT_NEAR(param->value.square().mean().item<double>(), 1, 0.25) << param->name;
    }
}

}  // namespace
}  // namespace altprop
