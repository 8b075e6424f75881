// The time as a gate, and augmented states.
#include "altprop/ode/time_gate.h"

#include <ATen/core/grad_mode.h>

#include "altprop/network/describe.h"
#include "network/check_op.h"
#include "network/support.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using test::contains;

const InputInfo kGateInfo{.input_shape = {6}, .classes = 3};

/// OpCheck gives every input a batch dimension, but a time has none: the gate is checked inside of
/// a block, and its own derivatives against differences of the block's.
TEST(TimeGate, ABlockWithItKeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  auto f = std::make_shared<Graph>();
  const int z = f->input({{3}}, "z"), t = f->input(time_spec(), "t");
  int h = f->add(time_gate(-1), {f->add(linear(2), {z}, "a"), t}, "gate");
  h = f->add(activation("tanh"), {h});
  f->output(f->add(time_gate(), {f->add(linear(3), {h}, "b"), t}, "gate2"));
  auto made = std::make_shared<Block>(
      f, Problem{.solver = "rk4", .sizes = {.steps = 2}, .learnt_time = LearntTime::Square});
  OpCheck(made, {{2, 3}}).run();
}

/// A time of each sample has a batch dimension, and is checked as every input is.
TEST(TimeGate, ATimeOfEachSampleKeepsThePromisesOfAnOperation) {
  check_op(time_gate(), {{3, 2}, {3, 1}});
  check_op(time_gate(), {{2, 3, 2, 2}, {2, 1}});
  check_op(time_gate(-1), {{2, 2, 3}, {2, 1}});
  check_op(with_time(), {{3, 2}, {3, 1}});
  check_op(with_time(-1), {{2, 2, 3}, {2, 1}});
  check_op(with_time(2), {{2, 2, 3}, {2, 1}});
}

TEST(TimeGate, IsTheFormula) {
  at::NoGradGuard no_grad;
  TimeGate gate;
  const std::vector<Spec> specs = {{.shape = {2}}, time_spec()};
  gate.infer(specs);
  gate.build(specs);
  const std::vector<ParamPtr> p = gate.params();
  p[0]->value = at::tensor({1.0, 2.0}, at::kDouble);
  p[1]->value = at::tensor({0.5, -0.5}, at::kDouble);
  p[2]->value = at::tensor({3.0, 0.0}, at::kDouble);
  Saved saved;
  const Tensor a = at::tensor({2.0, 4.0}, at::kDouble).view({1, 2}),
               y = gate.forward(std::vector<Tensor>{a, at::full({1}, 0.5, at::kDouble)}, saved, {});
  EXPECT_NEAR(y[0][0].item<double>(), 2 / (1 + std::exp(-1.0)) + 1.5, 1e-14);
  EXPECT_NEAR(y[0][1].item<double>(), 4 / (1 + std::exp(-0.5)), 1e-14);
}

TEST(TimeGate, InTexts) {
  at::NoGradGuard no_grad;
  Graph net =
      network("chain: ode{linear 8, tanh, linear 6} time=gate steps=2, linear *", kGateInfo);
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  EXPECT_EQ(net.params()[2]->name, "ode1.time_gate1.gate");
  EXPECT_EQ(net.params()[2]->value.sizes(), IntArrayRef({8}));
  EXPECT_GT(net.params()[2]->value.abs().max().item<double>(), 0);
  EXPECT_EQ(net.predict(test::random_batch(net, 2)).sizes(), IntArrayRef({2, 3}));
  const Graph images = network(
      "chain: conv 4 k=3, ode{gn 2, relu, circular-pad 1, conv 4 k=3} time=gate solver=euler "
      "steps=2, gap, linear *",
      {.input_shape = {1, 8, 8}, .classes = 3});
  EXPECT_EQ(images.predict(test::random_batch(images, 2)).sizes(), IntArrayRef({2, 3}));
  EXPECT_TRUE(contains(test::message_of([] { network("chain: time-gate, linear *", kGateInfo); }),
                       "braces of an ode"));
  const Graph augmented =
      network("chain: ode{linear 16, tanh, linear 8} augment=2 steps=2, linear *", kGateInfo);
  EXPECT_EQ(augmented.params()[0]->value.sizes(), IntArrayRef({16, 8}));
  EXPECT_EQ(augmented.params().back()->value.size(0), 3);
  const Graph outputs = network(
      "chain: ode{linear 16, tanh, linear 6} times=0/0.5/2 learn-T=plain, flatten, linear *",
      kGateInfo);
  EXPECT_EQ(describe(outputs).rows[1].shape, (std::vector<int64_t>{3, 6}));
  EXPECT_EQ(describe(outputs).rows[1].settings,
            "solver=dopri5,T=2,times=0/0.5/2,learn-T=plain,rtol=0.001,atol=1e-06");
}

TEST(TimeGate, BadTimesInTextsAreToldWhatIsWrong) {
  for (const auto& [options, says] : std::vector<std::pair<std::string, std::string>>{
           {"times=0.5/0.2", "joined by /"},
           {"times=a", "joined by /"},
           {"times=0.5/1 outputs=3", "leave one out"},
           {"times=0.5/2 T=3", "the last one is T"},
           {"jumps=1", "between 0 and T"},
           {"eta=0.9", "no effect"},
           {"eta=0.5 solver=alf", "eta"},
           {"steps=3 controller=pi", "no effect"},
           {"on-max-steps=return outputs=2", "one output"},
           {"min-step=0.5 max-step=0.1", "max-step"}}) {
    const std::string text = "chain: ode{linear 6} " + options + ", linear *";
    const std::string message = test::message_of([&] { network(text, kGateInfo); });
    EXPECT_TRUE(contains(message, says)) << text << "\n says: " << message;
    EXPECT_LT(message.size(), 700u);
  }
}

TEST(ZeroChannels, KeepsThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  OpCheck(zero_channels(2), {{3, 4}}).run();
  OpCheck(zero_channels(1), {{2, 2, 3, 3}}).run();
}

}  // namespace
}  // namespace altprop::ode
