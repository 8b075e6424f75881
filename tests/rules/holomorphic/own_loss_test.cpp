// A loss of the user's own under holomorphic equilibrium propagation: its gradient nudges, real or
// continued, and a loss that cannot be continued is refused where the nudges are complex.
#include "altprop/base/error.h"
#include "rules/holomorphic/fixture.h"

namespace altprop::testing {
namespace {

/// Three times the squared error, by its own hands.
struct Triple : Loss {
  explicit Triple(bool continued) : continued(continued) {}
  bool continued;
  std::string name() const override { return "triple"; }
  std::string help() const override { return "three times the squared error"; }
  Tensor value(const Tensor& output, const Tensor& target) const override {
    return (output - as_rows(target, output)).square().sum(1).mul(1.5);
  }
  Tensor gradient(const Tensor& output, const Tensor& target) const override {
    return (output - as_rows(target, output)).mul(3);
  }
  bool analytic() const override { return continued; }
  Tensor complex_gradient(const Tensor& planar, const Tensor& target) const override {
    return (planar - at::cat({target, at::zeros_like(target)})).mul(3);
  }
  Tensor link(const Tensor& output) const override { return output; }
};

OptionValues own_loss_options(const std::string& points) {
  return {{"hep.points", points},
          {"hep.radius", "0.02"},
          {"hep.tolerance", "0"},
          {"hep.free-steps", "400"},
          {"hep.nudged-steps", "400"}};
}

TEST(HolomorphicOwnLoss, ItsGradientNudgesAtAnyNumberOfPoints) {
  at::NoGradGuard no_grad;
  EpExample e = dense_example();
  const Triple loss(true);
  for (const std::string points : {"0", "2", "3", "4", "6"}) {
    const auto rule = bound("holomorphic-ep", own_loss_options(points), e.net, loss);
    const auto found = gradients(*rule, e.net, loss, e.x, e.y),
               exact = gradients(*rule, e.net, loss, e.x, e.y, 0, true);
    EXPECT_LT(EpExample::apart(found, exact), 5e-3) << points;
  }
}

TEST(HolomorphicOwnLoss, WithoutAContinuationComplexNudgesAreRefused) {
  EpExample e("mlp:5-6-3:shifted-sigmoid:out=shifted-sigmoid", {5}, 3, "squared-error");
  const Triple loss(false);
  for (const std::string points : {"0", "3", "6"}) {
    try {
      bound("holomorphic-ep", own_loss_options(points), e.net, loss);
      FAIL() << points;
    } catch (const Refusal& refusal) {
      EXPECT_NE(std::string(refusal.what()).find("complex_gradient"), std::string::npos);
    }
  }
  for (const std::string points : {"1", "2"})
    bound("holomorphic-ep", own_loss_options(points), e.net, loss);
}

}  // namespace
}  // namespace altprop::testing
