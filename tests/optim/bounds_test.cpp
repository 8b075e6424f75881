// Parameters that have to stay in an interval: the updater's step, then the projection, on every
// way that a step may take.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/gradients.h"
#include "altprop/network/init.h"
#include "altprop/optim/own_updater.h"
#include "altprop/rules/registry.h"

namespace altprop::bounds {
namespace {

constexpr Bounds kNarrow{-0.05, 0.08};

struct Way {
  std::string kind;
  bool in_place, gathered;
  at::ScalarType type;
};

/// A network whose first weight has bounds, kept by the updater or by hand behind each step.
struct BoundedNet {
  Graph net = network("mlp:16-32-8:relu", {.input_shape = {16}, .classes = 8});
  std::unique_ptr<Learner> rule = make_rule("backprop");
  std::unique_ptr<Loss> loss = make_loss("cross-entropy");
  std::unique_ptr<OwnUpdater> updater;
  Param* bounded = nullptr;
  bool by_hand;
  int64_t steps = 0;

  BoundedNet(const Way& way, bool by_hand,
             const std::function<void(OptimizerSettings&)>& change = {})
      : by_hand(by_hand) {
    net.to(at::kCPU, way.type);
    initialise(net, Initialiser("uniform:0.04"), Stream(3).at("init"));
    net.params()[2]->value.mul_(10);  // so that the first layer learns at once
    bounded = net.params()[0].get();
    if (!by_hand) bounded->bounds = kNarrow;
    OptimizerSettings settings;
    settings.kind = way.kind;
    settings.lr =
        way.kind == "sgd" || way.kind == "momentum" || way.kind == "nesterov" ? 0.5 : 0.02;
    if (change) change(settings);
    rule->bind(net, *loss, 1);
    updater = std::make_unique<OwnUpdater>(settings);
    updater->set_in_place(way.in_place);
    updater->set_gathered(way.gathered);
    updater->bind(net.params());
  }

  void train(int n) {
    at::NoGradGuard no_grad;
    for (int i = 0; i < n; ++i, ++steps) {
      const Stream draws = Stream(5).at(steps);
      const Tensor x = draws.at("x").normal({32, 16}, net.options());
      Step step = Step::train(*updater, {.inputs = x, .index = steps},
                              draws.at("y").uniform(0, 8, {32}).to(at::kLong));
      rule->step(step);
      if (by_hand) bounded->value.clamp_(kNarrow.low, kNarrow.high);
    }
  }

  int64_t at_the_edge() const {
    const Tensor& w = bounded->value;
    return w.eq(static_cast<float>(kNarrow.low))
        .logical_or(w.eq(static_cast<float>(kNarrow.high)))
        .logical_or(w.eq(kNarrow.low))
        .logical_or(w.eq(kNarrow.high))
        .sum()
        .item<int64_t>();
  }
};

std::vector<Way> ways() {
  std::vector<Way> out;
  for (const std::string& kind : optimizer_names())
    for (const bool in_place : {false, true})
      for (const bool gathered : {false, true})
        for (const at::ScalarType type : {at::kFloat, at::kDouble})
          out.push_back({kind, in_place, gathered, type});
  return out;
}

std::string text_of(const Way& way) {
  return text::cat(way.kind, way.in_place ? ", in place" : "", way.gathered ? ", gathered" : "",
                   way.type == at::kFloat ? ", float32" : ", float64");
}

TEST(ParameterBounds, AreKeptBehindEveryStepAndChangeNothingElse) {
  for (const Way& way : ways()) {
    SCOPED_TRACE(text_of(way));
    BoundedNet own(way, false), by_hand(way, true), free(way, true);
    free.by_hand = false;
    for (int i = 0; i < 6; ++i) {
      own.train(1);
      by_hand.train(1);
      free.train(1);
      EXPECT_LE(own.bounded->value.max().item<double>(), kNarrow.high + 1e-8);
      EXPECT_GE(own.bounded->value.min().item<double>(), kNarrow.low - 1e-8);
    }
    EXPECT_GT(own.at_the_edge(), 20) << "values meet the bounds";
    EXPECT_GT(free.bounded->value.abs().max().item<double>(), 0.1) << "without they leave them";
    const double tolerance = way.type == at::kFloat ? 1e-5 : 1e-12;
    for (size_t i = 0; i < own.net.params().size(); ++i)
      EXPECT_TRUE(at::allclose(own.net.params()[i]->value, by_hand.net.params()[i]->value,
                               tolerance, tolerance))
          << own.net.params()[i]->name;
  }
}

TEST(ParameterBounds, AreKeptWithDecayKeptSignsAndClipping) {
  for (const auto& change : std::vector<std::function<void(OptimizerSettings&)>>{
           [](OptimizerSettings& s) { s.weight_decay = 0.1; },
           [](OptimizerSettings& s) { s.keep_signs = true; },
           [](OptimizerSettings& s) { s.clip_norm = 0.5; },
           [](OptimizerSettings& s) { s.lr_of = {"fc1=2"}; }}) {
    const Way way{"momentum", true, true, at::kDouble};
    BoundedNet own(way, false, change), by_hand(way, true, change);
    own.train(5);
    by_hand.train(5);
    EXPECT_GT(own.at_the_edge(), 0);
    for (size_t i = 0; i < own.net.params().size(); ++i)
      EXPECT_TRUE(
          at::allclose(own.net.params()[i]->value, by_hand.net.params()[i]->value, 1e-11, 1e-12));
  }
}

TEST(ParameterBounds, AreKeptWhereOneOperationIsSteppedAlone) {
  BoundedNet own({"adam", false, false, at::kDouble}, false);
  for (int i = 0; i < 8; ++i) {
    Gradients found;
    const Tensor x = Stream(7).at(i).normal({4, 16}, at::kDouble);
    Activity activity;
    const Tensor y = own.net.run(x, activity, {Mode::Train});
    Feedback exact;
    own.net.sweep(activity, {{own.net.output_node(), at::ones_like(y)}}, exact, own.updater.get());
    own.updater->apply_to(*own.net.node(own.net.find("fc1")).op);
    EXPECT_LE(own.bounded->value.max().item<double>(), kNarrow.high);
    EXPECT_GE(own.bounded->value.min().item<double>(), kNarrow.low);
  }
  EXPECT_GT(own.at_the_edge(), 0);
}

/// Others have carried the values out: what they leave is carried back.
struct CarriesOut : Exchange {
  void values(const std::string&, const std::vector<Tensor>& all) override {
    for (Tensor t : all) t.add_(1);
  }
};

TEST(ParameterBounds, AreKeptBehindAnExchangeOfValues) {
  BoundedNet own({"sgd", false, true, at::kDouble}, false);
  own.updater = std::make_unique<OwnUpdater>(OptimizerSettings{});
  own.updater->set_exchange(std::make_shared<CarriesOut>(), own.net.traits());
  own.updater->bind(own.net.params());
  own.train(1);
  EXPECT_EQ(own.bounded->value.min().item<double>(), kNarrow.high);
}

TEST(ParameterBounds, NoNumberStaysNoNumber) {
  BoundedNet own({"adam", false, true, at::kDouble}, false);
  own.bounded->value[0][0] = NAN;
  own.train(1);
  EXPECT_TRUE(own.bounded->value[0][0].isnan().item<bool>()) << "what has diverged is seen";
}

TEST(ParameterBounds, ValuesThatBeginOutsideAreRefused) {
  BoundedNet own({"adam", false, true, at::kDouble}, false);
  own.bounded->value[0][0] = 0.5;
  try {
    own.updater->bind(own.net.params());
    ADD_FAILURE() << "nothing was refused";
  } catch (const Refusal& refusal) {
    EXPECT_NE(std::string(refusal.what()).find("fc1.weight"), std::string::npos) << refusal.what();
    EXPECT_NE(std::string(refusal.what()).find("have to stay in [-0.05, 0.08]"), std::string::npos);
  }
  own.bounded->learnt = false;
  own.updater->bind(own.net.params());
}

TEST(ParameterBounds, WithoutThemNothingIsSavedUnderAnotherName) {
  const auto names = [](bool bounded) {
    BoundedNet net({"adam", false, true, at::kDouble}, !bounded);
    TensorMap tensors;
    net.updater->state(StateIO::saving(tensors));
    std::vector<std::string> out;
    for (const auto& [name, tensor] : tensors) out.push_back(name);
    return out;
  };
  for (const std::string& name : names(false)) EXPECT_EQ(name.find(":in "), std::string::npos);
  size_t with = 0;
  for (const std::string& name : names(true)) with += name.find(":in ") != std::string::npos;
  EXPECT_GT(with, 0u) << "bounded values have a buffer of their own";
}

}  // namespace
}  // namespace altprop::bounds
