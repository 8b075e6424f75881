// A Direction has its say before the step of every group of parameters, not of the weights alone.
#include <gtest/gtest.h>

#include "altprop/network/ops/linear.h"
#include "altprop/optim/own_updater.h"

namespace altprop::directions {
namespace {

/// Collects signals and turns them into gradients only when it is asked to finish.
struct Late : Direction {
  std::vector<std::pair<const Op*, Tensor>> waiting;
  std::vector<std::string> finished;
  using Direction::absorb;
  void absorb(const LocalSignal& signal, Store&) override {
    waiting.emplace_back(signal.op, signal.cot.t().mm(signal.saved->t[0]) * signal.scale);
  }
  void finish(const std::string& group, const StepFacts&, Store& gradients) override {
    for (const auto& [op, gradient] : waiting) gradients.of(*op->weight())->add(gradient, 10);
    waiting.clear();
    finished.push_back(group);
  }
};

struct Map {
  OpPtr op = linear(2, false);
  Saved saved;
  Map(const std::string& group, const Tensor& x) {
    const Spec in{{3}};
    op->build({&in, 1});
    op->weight()->value = at::ones({2, 3}, at::kDouble);
    op->weight()->name = group + ".weight";
    op->weight()->group = group;
    op->forward({&x, 1}, saved, {Mode::Train});
  }
  Tensor moved() const { return 1 - op->weight()->value; }
};

TEST(Direction, FinishesBeforeTheStepOfEveryGroup) {
  const Tensor x = at::arange(6, at::kDouble).view({2, 3}), cot = at::ones({2, 2}, at::kDouble);
  Map weights("weights", x), feedback("feedback", x);
  const auto direction = std::make_shared<Late>();
  OwnUpdater updater({.kind = "sgd", .lr = 1});
  updater.set_group({"feedback", {.kind = "sgd", .lr = 0.5}});
  updater.set_direction(direction);
  updater.bind({weights.op->weight(), feedback.op->weight()});
  const Tensor expected = 10 * cot.t().mm(x);

  updater.take(LocalSignal{feedback.op.get(), nullptr, &feedback.saved, cot, 1});
  updater.apply("feedback");
  EXPECT_EQ(direction->finished, (std::vector<std::string>{"feedback"}));
  EXPECT_TRUE(at::equal(feedback.moved(), 0.5 * expected));
  EXPECT_EQ(weights.moved().abs().max().item<double>(), 0);

  updater.take(LocalSignal{weights.op.get(), nullptr, &weights.saved, cot, 1});
  updater.apply();
  EXPECT_EQ(direction->finished, (std::vector<std::string>{"feedback", "weights"}));
  EXPECT_TRUE(at::equal(weights.moved(), expected));
  EXPECT_TRUE(at::equal(feedback.moved(), 0.5 * expected));
}

}  // namespace
}  // namespace altprop::directions
