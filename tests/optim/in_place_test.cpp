// Updates without stored gradients do what updates with them do.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "altprop/network/architecture.h"
#include "altprop/network/gradients.h"
#include "altprop/network/init.h"
#include "altprop/network/ops/linear.h"
#include "altprop/optim/own_updater.h"
#include "altprop/rules/registry.h"
#include "altprop/train/trainer.h"
#include "support/device.h"

namespace altprop {
namespace {

/// A network with its updater, trained on the same random batches whatever the updater does.
struct TrainedNet {
  Graph net;
  std::unique_ptr<Learner> rule;
  std::unique_ptr<Loss> loss = make_loss("cross-entropy");
  std::unique_ptr<OwnUpdater> updater;
  int64_t steps = 0;

  TrainedNet(const std::string& text, const OptimizerSettings& settings, bool in_place,
             const std::string& rule_name = "backprop")
      : net(network(text, {.input_shape = {2, 8, 8}, .classes = 4})), rule(make_rule(rule_name)) {
    net.to(test::test_device(), at::kDouble);
    initialise(net, Initialiser("xavier"), Stream(3).at("init"));
    rule->prepare_for(settings);
    rule->bind(net, *loss, 1);
    updater = std::make_unique<OwnUpdater>(settings);
    updater->set_in_place(in_place && rule->allows_in_place());
    std::vector<ParamPtr> params = rule->trained();
    for (const ParamPtr& param : rule->owned()) params.push_back(param);
    updater->bind(params);
    updater->set_weight_decay(rule->weight_decay(0));
  }

  void train(int n) {
    at::NoGradGuard no_grad;
    for (int i = 0; i < n; ++i, ++steps) {
      const Stream draws = Stream(5).at(steps);
      const Tensor x = draws.at("x").normal({6, 2, 8, 8}, test::on_device(at::kDouble));
      Step step = Step::train(
          *updater, {.inputs = x, .index = steps},
          draws.at("y").uniform(0, 4, {6}, at::kDouble).to(test::on_device(at::kLong)));
      updater->set_rate_factor(1.0 / static_cast<double>(1 + steps));
      rule->step(step);
    }
  }
};

void expect_equal(TrainedNet& a, TrainedNet& b) {
  const auto left = a.net.params(), right = b.net.params();
  for (size_t i = 0; i < left.size(); ++i)
    EXPECT_TRUE(at::allclose(left[i]->value, right[i]->value, 1e-10, 1e-12)) << left[i]->name;
}

const char* kConvNet =
    "chain: conv 3 k=3 p=1, batch-norm, relu, maxpool 2, linear 10, relu, linear *";

OptimizerSettings optimizer(const std::string& kind, double decay = 0) {
  OptimizerSettings s;
  s.kind = kind;
  s.lr = 0.1;
  s.weight_decay = decay;
  return s;
}

TEST(InPlace, SameStepsAsWithGradients) {
  for (const auto& settings : {optimizer("sgd"), optimizer("sgd", 0.1), optimizer("momentum"),
                               optimizer("momentum", 0.1), optimizer("adam")})
    for (const char* rule :
         {"backprop", "feedback-alignment", "direct-feedback-alignment", "uniform-sign",
          "kolen-pollack", "product-feedback-alignment", "weight-mirror"}) {
      SCOPED_TRACE(std::string(rule) + ", " + settings.kind);
      TrainedNet stored(kConvNet, settings, false, rule), in_place(kConvNet, settings, true, rule);
      stored.train(4);
      in_place.train(4);
      expect_equal(stored, in_place);
    }
}

TEST(InPlace, ParametersWithoutSignalsStepOn) {
  for (const auto& settings : {optimizer("sgd"), optimizer("momentum")}) {
    TrainedNet stored(kConvNet, settings, false), in_place(kConvNet, settings, true);
    for (TrainedNet* run : {&stored, &in_place}) {
      run->train(2);
      run->updater->apply();  // momentum alone
      run->train(1);
    }
    expect_equal(stored, in_place);
  }
}

TEST(InPlace, GradientsAreNotStored) {
  TrainedNet momentum(kConvNet, optimizer("momentum"), true),
      plain(kConvNet, optimizer("sgd"), true);
  for (const ParamPtr& param : plain.net.params())
    EXPECT_EQ(plain.updater->slot(*param)->into.data_ptr(), param->value.data_ptr());
  for (const ParamPtr& param : momentum.net.params())
    EXPECT_EQ(momentum.updater->slot(*param)->keep, 0.9);
}

TEST(InPlace, OnlyWhatATwinStepsAsStoresGradients) {
  const TrainedNet run(kConvNet, optimizer("momentum"), true, "kolen-pollack");
  for (const ParamPtr& param : run.net.params()) {
    const auto owned = run.rule->owned();
    const bool paired = std::any_of(owned.begin(), owned.end(), [&](const ParamPtr& twin) {
      return twin->twin == param.get();
    });
    EXPECT_EQ(run.updater->slot(*param)->keep, paired ? 0 : 0.9) << param->name;
  }
}

TEST(InPlace, NotWhereGradientsAreChangedFirst) {
  OptimizerSettings clipped = optimizer("sgd"), rates = optimizer("sgd");
  clipped.clip_norm = 1;
  rates.lr_of = {"weight=0.5"};
  for (const auto& settings : {clipped, rates, optimizer("sgd", 0.1), optimizer("nesterov")}) {
    TrainedNet run(kConvNet, settings, true);
    for (const ParamPtr& param : run.net.params()) {
      EXPECT_NE(run.updater->slot(*param)->into.data_ptr(), param->value.data_ptr());
      EXPECT_EQ(run.updater->slot(*param)->keep, 0);
    }
  }
}

TEST(InPlace, SomebodyElsesLookAtGradientsChangesNoBit) {
  at::NoGradGuard no_grad;
  TrainedNet alone(kConvNet, optimizer("momentum"), true),
      watched(kConvNet, optimizer("momentum"), true);
  alone.train(3);
  watched.train(2);
  Gradients seen;
  const Tensor cot = at::ones({6, 4}, test::on_device(at::kDouble));
  Feedback exact;
  Activity activity;
  watched.net.run(Stream(1).normal({6, 2, 8, 8}, test::on_device(at::kDouble)), activity,
                  {Mode::Eval});
  watched.net.sweep(activity, {{watched.net.output_node(), cot}}, exact, &seen);
  EXPECT_EQ(seen.all().size(), watched.net.params().size());
  watched.train(1);
  for (size_t i = 0; i < alone.net.params().size(); ++i)
    EXPECT_TRUE(watched.net.params()[i]->value.equal(alone.net.params()[i]->value));
}

TEST(InPlace, NotForTiedWeights) {
  at::NoGradGuard no_grad;
  RunSettings settings;
  settings.optimizer = optimizer("sgd");
  const data::Splits data = data::from_tensors(at::rand({20, 4}), at::arange(20).remainder(4));
  const auto loss = make_loss("cross-entropy");
  const auto rule = make_rule("backprop");
  for (const bool tied : {false, true}) {
    Graph net;
    const int x = net.input({{4}});
    const int h = net.add(linear(4), {x}, "first");
    const auto params = net.params();
    net.output(tied ? net.add(std::make_shared<Linear>(params[0], params[1]), {h}, "second")
                    : net.add(linear(4), {h}, "second"));
    Trainer trainer(net, *rule, *loss, data, settings);
    const Slot* slot = trainer.updater().slot(*params[0]);
    EXPECT_EQ(slot->into.data_ptr() == params[0]->value.data_ptr(), !tied);
  }
}

}  // namespace
}  // namespace altprop
