// The example rule of CONTRIBUTING.md against the two rules that it lies between.
#include "rules/feedback/lab.h"

namespace altprop::testing {
namespace {

std::map<std::string, Tensor> gradients_of(const std::string& name, const OptionValues& options) {
  Graph net = conv_net();
  const auto loss = make_loss("cross-entropy");
  const auto rule = make_rule(name, options);
  rule->bind(net, *loss, 1);
  const BatchOf batch = draw_batch({8, 3, 9, 9}, 5);
  return gradients(*rule, net, *loss, batch.x, batch.y);
}

TEST(PartialSign, EqualsItsNeighboursAtBothEnds) {
  const auto none = gradients_of("partial-sign", {{"ps.known", "0"}});
  const auto half = gradients_of("partial-sign", {});
  const auto all = gradients_of("partial-sign", {{"ps.known", "1"}});
  for (const auto& [name, gradient] : gradients_of("feedback-alignment", {}))
    EXPECT_TRUE(at::equal(gradient, none.at(name))) << name;
  for (const auto& [name, gradient] : gradients_of("fixed-random-sign", {}))
    EXPECT_TRUE(at::equal(gradient, all.at(name))) << name;
  EXPECT_FALSE(at::equal(half.at("conv1.weight"), none.at("conv1.weight")));
  EXPECT_FALSE(at::equal(half.at("conv1.weight"), all.at("conv1.weight")));
}

}  // namespace
}  // namespace altprop::testing
