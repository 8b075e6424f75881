// The options that all feedback pathways share.
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "rules/pathways.h"

namespace altprop::pathways {
namespace {

TEST(FeedbackOptions, ExactLastAndSkipKeepTheWeight) {
  for (const std::string& name : kPathways) {
    Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
    Batch batch(net);
    auto rule = bound(name, net, {{"feedback.exact-last", "true"}});
    NamedGradients own = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y),
                   exact = gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 0, true);
    EXPECT_TRUE(at::equal(own["fc2.weight"], exact["fc2.weight"])) << name;
    EXPECT_GT(distance(own["fc1.weight"], exact["fc1.weight"]), 1e-3) << name;
    rule = bound(name, net, {{"feedback.skip", "fc2,fc3"}});
    expect_same(gradients(*rule, net, *kCrossEntropy, batch.x, batch.y), exact, 0);
  }
}

TEST(FeedbackOptions, DensityThinsTheSubstituteForGood) {
  for (const std::string& name : kPathways) {
    Graph net = mlp({9, 40, 50, 5}, "tanh", 1, at::kDouble);
    Batch batch(net);
    auto rule = bound(name, net, {{"feedback.density", "0.3"}});
    auto density = [&](Tensor* zeros) {
      Tensor m = name == "direct-feedback-alignment"
                     ? saved(*rule).at("feedback.fc2")
                     : rule->feedback()[0].feedback;
      if (zeros) *zeros = m.eq(0);
      return m.ne(0).to(at::kDouble).mean().item<double>();
    };
    Tensor before, after;
    EXPECT_NEAR(density(&before), 0.3, name == "direct-feedback-alignment" ? 0.1 : 0.04) << name;
    gradients(*rule, net, *kCrossEntropy, batch.x, batch.y, 5);
    density(&after);
    EXPECT_TRUE(before.equal(after)) << name;
  }
}

TEST(FeedbackOptions, WeightNormHoldsInEveryLayer) {
  const auto loss = make_loss("cross-entropy");
  Graph net = mlp({9, 12, 8, 5}, "tanh", 1, at::kDouble);
  Batch batch(net);
  std::vector<double> norms;
  std::vector<Tensor> before;
  for (const ParamPtr& param : net.params()) {
    norms.push_back(param->value.norm().item<double>());
    before.push_back(param->value.clone());
  }
  testing::TestRun run(net, *loss, make_rule("fa", {{"feedback.weight-norm", "true"}}),
                       {.lr = 0.1});
  for (int i = 0; i < 5; ++i) run.step(batch.x, batch.y);
  for (size_t i = 0; i < norms.size(); ++i) {
    const Tensor& value = net.params()[i]->value;
    EXPECT_FALSE(at::equal(value, before[i]));
    if (value.dim() == 2) {
      EXPECT_NEAR(value.norm().item<double>() / norms[i], 1, 1e-14);
    }
  }
}

TEST(FeedbackOptions, ClippingBoundsCreditsAndGradients) {
  Worked w;
  auto rule = bound("fa", w.net, {{"feedback.grad-clip", "0.3"}});
  load(*rule, {{"feedback.fc2", w.m2}, {"feedback.fc3", w.m3}});
  NamedGradients g = gradients(*rule, w.net, *w.loss, w.x, w.t);
  // delta3 (-1.319, .345) is no input credit; delta2 = (-.3734, -.7224) is clipped to -.3 each
  // before it goes on: delta1 = -.3 (.5, -.4, .2).
  const Tensor delta1 = at::tensor({-.15, .12, -.06}, test::on_device(at::kDouble));
  EXPECT_LE(distance(g["fc2.bias"], at::tensor({-.3, -.3}, test::on_device(at::kDouble))), 1e-14);
  EXPECT_LE(distance(g["fc1.bias"], delta1), 1e-14);
  EXPECT_NEAR(g["fc3.bias"][0].item<double>(), -.3, 1e-14);
}

TEST(FeedbackOptions, SentencesOfRefusal) {
  Graph net = mlp({9, 12, 8, 5});
  auto refusal = [&](const std::string& rule, const OptionValues& options) -> std::string {
    try {
      bound(rule, net, options);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal("fa", {{"feedback.skip", "relu1"}}),
            "node 'relu1': it has no weight, so its credit is exact anyway; name operations with "
            "weights in feedback.skip");
  EXPECT_NE(refusal("fa", {{"feedback.skip", "fc9"}}).find("no operation 'fc9'"),
            std::string::npos);
  EXPECT_EQ(refusal("usf", {{"usf.scale", "-1"}}),
            "option 'usf.scale' of rule 'uniform-sign' must be xavier, kaiming, xiao, unit or a "
            "positive number, but is '-1'");
}

TEST(FeedbackOptions, WarnsWhereUniformSignsBlowUp) {
  Graph net = mlp({64, 64, 64, 64, 10});
  EXPECT_TRUE(bound("usf", net)->warnings({}).empty());
  const auto warnings = bound("usf", net, {{"usf.scale", "unit"}})->warnings({});
  ASSERT_EQ(warnings.size(), 1u);
  // 8 * 8 * sqrt(10)
  EXPECT_EQ(warnings[0],
            "usf.scale=unit: the error grows about 202-fold on its way through 3 layers; use "
            "usf.scale=xavier");
}

}  // namespace
}  // namespace altprop::pathways
