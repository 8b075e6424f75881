// Gradients belong to whoever asks: several stores over one network, the caller's own tensors,
// frozen parameters, parameters that play another's part, contributions no operation makes.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/architecture.h"
#include "altprop/network/gradients.h"
#include "altprop/network/init.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/diagonal.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/norm.h"
#include "altprop/optim/own_updater.h"
#include "support/device.h"

namespace altprop::store_test {
namespace {

/// A small network of every kind of slot: convolution, norm, dense with bias.
struct Example {
  Graph net = network("chain: conv 3 k=3 p=1, batch-norm, relu, conv 4 k=3, tanh, linear *",
                      {.input_shape = {2, 6, 6}, .classes = 5});
  Tensor x, cot;
  Activity activity;

  explicit Example(at::ScalarType type = at::kDouble) {
    net.to(test::test_device(), type);
    initialise(net, Initialiser("xavier"), Stream(3).at("init"));
    x = Stream(1).normal({7, 2, 6, 6}, test::on_device(type));
    cot = Stream(2).normal({7, 5}, test::on_device(type));
  }
  void sweep(Sink& sink, double scale = 1) {
    Feedback exact;
    net.run(x, activity, {Mode::Train});
    net.sweep(activity, {{net.output_node(), cot}}, exact, &sink, {.scale = scale});
  }
  Param& param(size_t i) { return *net.params()[i]; }
};

Tensor other_layout(const Tensor& t) {
  return t.dim() == 4   ? t.contiguous(at::MemoryFormat::ChannelsLast)
         : t.dim() == 2 ? t.t().contiguous().t()
                        : at::stack({t, t}, -1).select(-1, 0);
}

TEST(Store, SeveralOverOneSweepReceiveTheSameBits) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    Example e(type);
    Gradients alone, first, second;
    e.sweep(alone, 0.25);
    ::altprop::Both both(first, second);
    e.sweep(both, 0.25);
    for (const ParamPtr& p : e.net.params()) {
      EXPECT_TRUE(first.of_param(*p).equal(alone.of_param(*p))) << p->name;
      EXPECT_TRUE(second.of_param(*p).equal(alone.of_param(*p))) << p->name;
    }
  }
}

TEST(Store, TheCallersTensorsOfAnyStrides) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    Example e(type);
    Gradients plain, bound = Gradients::none();
    std::vector<Tensor> theirs, before;
    std::vector<const void*> places;
    for (const ParamPtr& p : e.net.params()) {
      theirs.push_back(
          other_layout(Stream(4).at(p->name).normal(p->value.sizes(), p->value.options())));
      before.push_back(theirs.back().clone());
      places.push_back(theirs.back().data_ptr());
      bound.bind(*p, theirs.back(), 1);
    }
    const int64_t version = theirs.back()._version();
    e.sweep(plain, 0.5);
    e.sweep(bound, 0.5);
    size_t i = 0;
    for (const ParamPtr& p : e.net.params()) {
      const Tensor expected = before[i] + plain.of_param(*p);
      EXPECT_TRUE(at::allclose(theirs[i], expected, 1e-5, 1e-6)) << p->name;
      EXPECT_EQ(theirs[i].data_ptr(), places[i]) << p->name;
      ++i;
    }
    EXPECT_GT(theirs.back()._version(), version);  // autograd's tape relies on it
  }
}

TEST(Store, RefusesATensorOfAnotherShape) {
  Example e;
  Gradients store = Gradients::none();
  EXPECT_THROW(store.bind(e.param(0), at::zeros({1, 2})), UsageError);
  EXPECT_THROW(store.bind(e.param(0), Tensor()), UsageError);
}

TEST(Store, MomentumsAverageAndTheValueAreSlots) {
  Example e;
  Gradients plain;
  e.sweep(plain);
  Param& w = e.param(0);
  const Tensor held = Stream(5).normal(w.value.sizes(), w.value.options()), start = w.value.clone();
  Tensor average = held.clone();
  Gradients momentum = Gradients::none(), value = Gradients::none();
  momentum.bind(w, average, 0.9);
  value.bind(w, w.value, 1);
  value.of(w)->factor = -0.1;
  e.sweep(momentum);
  e.sweep(value);
  EXPECT_TRUE(at::allclose(average, 0.9 * held + plain.of_param(w), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(w.value, start - 0.1 * plain.of_param(w), 1e-12, 1e-12));
}

TEST(Store, ASecondContributionIsAddedAndARestartOverwrites) {
  Example e;
  Gradients once, twice;
  e.sweep(once);
  e.sweep(twice);
  e.sweep(twice, 2);
  Param& w = e.param(0);
  EXPECT_TRUE(at::allclose(twice.of_param(w), 3 * once.of_param(w), 1e-12, 1e-12));
  twice.restart();
  EXPECT_FALSE(twice.of_param(w).defined());
  e.sweep(twice);
  EXPECT_TRUE(twice.of_param(w).equal(once.of_param(w)));
}

TEST(Store, AFrozenParameterReceivesNothingAndCutsNoCreditOff) {
  Example e, all;
  Gradients found, whole;
  all.sweep(whole);
  e.net.node(e.net.find("conv2")).op->weight()->learnt = false;
  e.sweep(found);
  for (const ParamPtr& p : e.net.params()) {
    EXPECT_EQ(found.of_param(*p).defined(), p->learnt) << p->name;
    if (p->learnt) {
      for (const ParamPtr& q : all.net.params())
        if (q->name == p->name) {
          EXPECT_TRUE(at::allclose(found.of_param(*p), whole.of_param(*q), 1e-12, 1e-12))
              << p->name;
        }
    }
  }
  // Whoever asks for it by name gets it all the same.
  Gradients named({e.net.node(e.net.find("conv2")).op->weight()});
  e.sweep(named);
  EXPECT_EQ(named.all().size(), 1u);
}

TEST(Store, FreezingTheFirstLayersSparesTheirCredit) {
  Example e;
  for (const char* name : {"conv1", "norm1"})
    for (const ParamPtr& p : e.net.node(e.net.find(name)).op->params()) p->learnt = false;
  struct Counting : Feedback {
    int pulls = 0;
    Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
                 Sweep& sweep) override {
      ++pulls;
      return Feedback::pull(site, saved, cot, wanted, sweep);
    }
  } counting;
  const auto count = [&] {
    counting.pulls = 0;
    Gradients sink;
    e.net.run(e.x, e.activity, {Mode::Train});
    e.net.sweep(e.activity, {{e.net.output_node(), e.cot}}, counting, &sink);
    return counting.pulls;
  };
  const int frozen = count();
  for (const ParamPtr& p : e.net.params()) p->learnt = true;
  EXPECT_LT(frozen, count());
}

TEST(Store, AFrozenParameterIsNotStepped) {
  at::NoGradGuard no_grad;
  for (const char* kind : {"sgd", "momentum", "adam"})
    for (const bool in_place : {false, true}) {
      Example e;
      e.param(0).learnt = false;
      const Tensor before = e.param(0).value.clone(), other = e.param(1).value.clone();
      OwnUpdater updater({.kind = kind, .lr = 0.1, .weight_decay = 0.1});
      updater.set_in_place(in_place);
      updater.bind(e.net.params());
      e.sweep(updater);
      updater.apply();
      EXPECT_TRUE(e.param(0).value.equal(before)) << kind;
      EXPECT_FALSE(e.param(1).value.equal(other)) << kind;
      EXPECT_EQ(updater.slot(e.param(0)), nullptr);
    }
}

TEST(Store, AStandInLearnsInTheWeightsPlaceWithItsOwnShape) {
  const auto check = [](const OpPtr& op, const Tensor& x, IntArrayRef stand_in,
                        IntArrayRef cot_shape) {
    Saved saved;
    op->forward({&x, 1}, saved, {});
    Param by("r", Stream(7).normal(stand_in, at::kDouble));
    const Tensor cot = Stream(8).normal(cot_shape, at::kDouble);
    Gradients found;
    LocalSignal signal{op.get(), nullptr, &saved, cot, 0.5};
    signal.stand_in = &by;
    found.take(signal);
    ASSERT_EQ(found.all().size(), 1u);
    // The same map with that many outputs makes the same gradient.
    OpPtr wide;
    if (x.dim() == 2) {
      wide = std::make_shared<Linear>(std::make_shared<Param>("w", by.value), nullptr);
    } else {
      wide = conv2d({.out = 0, .kernel = 3}, std::make_shared<Param>("w", by.value), nullptr);
    }
    Saved again;
    wide->forward({&x, 1}, again, {});
    Gradients expected;
    wide->accumulate(again, cot, 0.5, expected);
    EXPECT_TRUE(at::allclose(found.of_param(by), expected.of_param(*wide->weight()), 1e-12, 1e-12));
  };
  const OpPtr dense = linear(3);
  const Spec features{{5}};
  dense->build({&features, 1});
  for (const ParamPtr& p : dense->params()) p->value = p->value.to(at::kDouble);
  check(dense, Stream(9).normal({4, 5}, at::kDouble), {11, 5}, {4, 11});
  const OpPtr conv = conv2d({.out = 3, .kernel = 3});
  const Spec images{{2, 6, 6}};
  conv->build({&images, 1});
  for (const ParamPtr& p : conv->params()) p->value = p->value.to(at::kDouble);
  check(conv, Stream(9).normal({4, 2, 6, 6}, at::kDouble), {11, 2, 3, 3}, {4, 11, 4, 4});
}

TEST(Store, ParameterSignalsJoinTheLocalOnes) {
  at::NoGradGuard no_grad;
  for (const char* kind : {"sgd", "momentum", "nesterov"})
    for (const bool in_place : {false, true}) {
      Example e;
      Gradients plain;
      e.sweep(plain);
      Param& w = e.param(0);
      const Tensor start = w.value.clone();
      OwnUpdater updater({.kind = kind, .lr = 0.1, .momentum = 0.5});
      updater.set_in_place(in_place);
      updater.bind(e.net.params());
      e.sweep(updater);
      updater.take(ParamSignal{&w, start, 0.3});
      updater.apply();
      const double factor = std::string(kind) == "nesterov" ? 1.5 : 1;
      const Tensor expected = start - 0.1 * factor * (plain.of_param(w) + 0.3 * start);
      EXPECT_TRUE(at::allclose(w.value, expected, 1e-12, 1e-12)) << kind << in_place;
    }
}

TEST(Store, ValuesOfSomebodyElseStayWhereTheyAre) {
  at::NoGradGuard no_grad;
  for (const char* kind : {"sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"})
    for (const bool in_place : {false, true}) {
      Example gathered, apart;
      std::vector<const void*> places;
      for (const ParamPtr& p : apart.net.params()) {
        if (p->value.dim() == 4) p->value = p->value.contiguous(at::MemoryFormat::ChannelsLast);
        places.push_back(p->value.data_ptr());
      }
      OwnUpdater flat({.kind = kind, .lr = 0.1, .weight_decay = 0.01}),
          own({.kind = kind, .lr = 0.1, .weight_decay = 0.01});
      own.set_gathered(false);
      flat.set_in_place(in_place);
      own.set_in_place(in_place);
      flat.bind(gathered.net.params());
      own.bind(apart.net.params());
      for (int i = 0; i < 3; ++i) {
        gathered.sweep(flat);
        apart.sweep(own);
        flat.apply();
        own.apply();
      }
      for (size_t i = 0; i < places.size(); ++i) {
        EXPECT_EQ(apart.param(i).value.data_ptr(), places[i]);
        // In front of a batch norm the gradient is rounding, which adaptive steps blow up.
        if (apart.param(i).name == "conv1.bias") continue;
        EXPECT_TRUE(at::allclose(apart.param(i).value, gathered.param(i).value, 1e-10, 1e-12))
            << kind << " " << apart.param(i).name;
      }
    }
}

TEST(Store, OneOperationMayStepAlone) {
  at::NoGradGuard no_grad;
  for (const char* kind : {"sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"}) {
    Example all, one;
    OwnUpdater whole({.kind = kind, .lr = 0.1, .weight_decay = 0.01}),
        alone({.kind = kind, .lr = 0.1, .weight_decay = 0.01});
    whole.set_gathered(false);
    alone.set_gathered(false);
    whole.bind(all.net.params());
    alone.bind(one.net.params());
    const auto op = one.net.node(one.net.find("conv2")).op;
    for (int i = 0; i < 2; ++i) {
      // The other operations' parameters must not have moved, or their gradients would differ.
      all.sweep(whole);
      one.sweep(alone);
      const Tensor others = one.param(0).value.clone();
      alone.apply_to(*op);
      EXPECT_TRUE(one.param(0).value.equal(others)) << kind;
      for (const ParamPtr& p : one.net.params())
        for (const ParamPtr& q : op->params())
          if (p == q) {
            EXPECT_TRUE(alone.slot(*p)->fresh);
          }
      if (i > 0) break;
      whole.apply();
      for (size_t k = 0; k < one.net.params().size(); ++k)
        for (const ParamPtr& q : op->params())
          if (one.net.params()[k] == q) {
            EXPECT_TRUE(at::allclose(q->value, all.param(k).value, 1e-12, 1e-12)) << kind;
          }
    }
  }
  Example e;
  OwnUpdater gathered({});
  gathered.bind(e.net.params());
  EXPECT_THROW(gathered.apply_to(*e.net.node(e.net.find("conv2")).op), Error);
  OwnUpdater bounded({.clip_norm = 1});
  bounded.set_gathered(false);
  bounded.bind(e.net.params());
  EXPECT_THROW(bounded.apply_to(*e.net.node(e.net.find("conv2")).op), Error);
}

/// Nor by decay, nor by momentum: and what comes later is not lost.
TEST(Store, WhatWasSteppedAloneIsLeftOutOfTheNextUpdateOnce) {
  at::NoGradGuard no_grad;
  Example e;
  OwnUpdater updater({.kind = "momentum", .lr = 0.1, .weight_decay = 0.1});
  updater.set_steps_alone(true);
  updater.set_in_place(true);
  updater.bind(e.net.params());
  const auto op = e.net.node(e.net.find("conv2")).op;
  const ParamPtr own = op->weight(), other = e.net.node(e.net.find("conv1")).op->weight();
  const auto moved = [&](const std::function<void()>& act) {
    const Tensor a = own->value.clone(), b = other->value.clone();
    act();
    return std::pair(!own->value.equal(a), !other->value.equal(b));
  };
  e.sweep(updater);
  EXPECT_EQ(moved([&] { updater.apply_to(*op); }), std::pair(true, false));
  EXPECT_EQ(moved([&] { updater.apply(); }), std::pair(false, true));
  e.sweep(updater);
  EXPECT_EQ(moved([&] { updater.apply(); }), std::pair(true, true)) << "the next step is for all";
  e.sweep(updater);
  updater.apply_to(*op);
  e.sweep(updater);
  EXPECT_EQ(moved([&] { updater.apply(); }), std::pair(true, true)) << "further signals came";
  EXPECT_EQ(updater.steps(), 3);
}

TEST(Store, AnUpdateIsSeenByAutograd) {
  at::NoGradGuard no_grad;
  for (const char* kind : {"sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"})
    for (const bool in_place : {false, true})
      for (const bool gathered : {false, true}) {
        Example e(at::kFloat);
        OwnUpdater updater({.kind = kind, .lr = 0.1});
        updater.set_in_place(in_place);
        updater.set_gathered(gathered);
        updater.bind(e.net.params());
        std::vector<int64_t> before;
        for (const ParamPtr& param : e.net.params()) before.push_back(param->value._version());
        e.sweep(updater);
        updater.apply();
        for (size_t i = 0; i < before.size(); ++i)
          EXPECT_GT(e.param(i).value._version(), before[i])
              << kind << in_place << gathered << e.param(i).name;
      }
}

TEST(Store, ATwinWithoutItsPartnerIsRefused) {
  Example e;
  auto twin = std::make_shared<Param>("twin", e.param(0).value.clone());
  twin->twin = &e.param(0);
  OwnUpdater updater({});
  EXPECT_THROW(updater.bind({twin}), Error);
}

}  // namespace
}  // namespace altprop::store_test
