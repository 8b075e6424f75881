// Boxes of libtorch's operators: what they compute is what libtorch's functions compute, derivatives
// are those of autograd, and programs that are none are refused.
#include "altprop/network/ops/aten_box.h"

#include <atomic>
#include <thread>

#include "altprop/network/gradients.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/norm.h"
#include "altprop/rules/registry.h"
#include "network/check_op.h"
#include "network/support.h"

namespace altprop {
namespace {

using test::contains;


/// silu(x) * c, then the rows of a sample one behind the other.
const char* const kProgram = R"([
  {"op": "aten::silu", "overload": "", "args": [{"v": 0}]},
  {"op": "aten::mul", "overload": "Tensor", "args": [{"v": 2}, {"v": 1}]},
  {"op": "aten::reshape", "overload": "", "args": [{"v": 3}, [{"batch": 1}, 6]]}
])";

TEST(AtenBox, ComputesWhatItsProgramSaysAndKnowsItsDerivatives) {
  const Tensor c = at::scalar_tensor(-1.5, at::kDouble);  // of no dimension, so that it has no say in the type
  check_op(aten_box({.program = kProgram, .constants = {c}}), {{3, 2, 3}});
  const Tensor x = Stream(1).normal({4, 2, 3}, at::kDouble);
  const OpPtr op = aten_box({.program = kProgram, .constants = {c}});
  Saved saved;
  const Tensor out = op->forward(std::vector<Tensor>{x}, saved, {});
  EXPECT_TRUE(at::equal(out, (at::silu(x) * c).reshape({4, 6})));
  EXPECT_EQ(op->settings(), "silu, mul, reshape");
}

TEST(AtenBox, ParametersInsideLearnAndAreHidden) {
  auto weight = std::make_shared<Param>("weight", Stream(2).normal({3, 3}, at::kDouble));
  const char* const program = R"([{"op": "aten::linear", "overload": "", "args": [{"v": 0}, {"v": 1}, null]}])";
  const OpPtr op = aten_box({.program = program, .params = {weight}});
  check_op(op, {{4, 3}});
  EXPECT_FALSE(op->traits().substitutable);
  EXPECT_FALSE(op->traits().draws_for_batch);
  auto net = std::make_shared<Graph>();
  const int x = net->input({{3}});
  net->output(net->add(linear(2), {net->add(op, {net->add(linear(3), {x})}, "box")}));
  const auto why = test::message_of([&] {
    make_rule("feedback-alignment")->bind(*net, no_loss(), 1);
  });
  EXPECT_TRUE(contains(why, "box")) << why;
}

TEST(AtenBox, ResultsOfSeveralAndNumbersInPlaceOfTensors) {
  const char* const program = R"([
    {"op": "aten::split", "overload": "Tensor", "args": [{"v": 0}, 2, 1]},
    {"op": "aten::sub", "overload": "Tensor", "args": [{"v": 2}, 1.5, 2]},
    {"op": "aten::clamp", "overload": "", "args": [{"v": 3}, "-inf", 4]},
    {"op": "aten::cat", "overload": "", "args": [[{"v": 1}, {"v": 4}], 1]}
  ])";
  const Tensor x = Stream(3).normal({3, 4}, at::kDouble);
  Saved saved;
  const Tensor out = aten_box({.program = program})->forward(std::vector<Tensor>{x}, saved, {});
  EXPECT_TRUE(at::equal(out, at::cat({x.narrow(1, 0, 2), x.narrow(1, 2, 2) - 3}, 1)));
}

TEST(AtenBox, RandomNumbersBelongToThePass) {
  const char* const program = R"([{"op": "aten::dropout", "overload": "", "args": [{"v": 0}, 0.5, true]}])";
  const OpPtr op = aten_box({.program = program});
  const Tensor x = at::ones({2, 50});
  Saved one, two;
  const Tensor a = op->forward(std::vector<Tensor>{x}, one, {.mode = Mode::Train, .draws = Stream(1)}),
               b = op->forward(std::vector<Tensor>{x}, two, {.mode = Mode::Train, .draws = Stream(1)}),
               c = op->forward(std::vector<Tensor>{x}, two, {.mode = Mode::Train, .draws = Stream(2)});
  EXPECT_TRUE(at::equal(a, b));
  EXPECT_FALSE(at::equal(a, c));
}

/// Tried when the box is built, in whatever way samples meet, and with values that are none.
TEST(AtenBox, KnowsWhetherSamplesDependOnEachOther) {
  const auto couples = [](const std::string& program, Spec in = Spec{{4}}) {
    const OpPtr op = aten_box({.program = "[" + program + "]"});
    op->infer({&in, 1});
    op->build({&in, 1});
    return op->traits().couples_samples;
  };
  const auto call = [](const std::string& name, const std::string& overload,
                       const std::string& args) {
    return R"({"op": "aten::)" + name + R"(", "overload": ")" + overload + R"(", "args": [)" +
           args + "]}";
  };
  const std::string mean = call("mean", "dim", R"({"v": 0}, [0], true, null)") + ",",
                    less = "," + call("sub", "Tensor", R"({"v": 0}, {"v": 1}, 1)");
  EXPECT_FALSE(couples(call("tanh", "", R"({"v": 0})")));
  EXPECT_FALSE(couples(call("log", "", R"({"v": 0})"))) << "NaN of a sample is its own";
  EXPECT_FALSE(couples(call("softmax", "int", R"({"v": 0}, 1, null)")));
  EXPECT_TRUE(couples(call("softmax", "int", R"({"v": 0}, 0, null)")));
  EXPECT_TRUE(couples(mean + call("sub", "Tensor", R"({"v": 0}, {"v": 1}, 1)")));
  EXPECT_TRUE(couples(call("log", "", R"({"v": 0})") + "," +
                      call("mean", "dim", R"({"v": 1}, [0], true, null)") + "," +
                      call("sub", "Tensor", R"({"v": 1}, {"v": 2}, 1)")))
      << "NaN everywhere but for the values between 0 and 1";
  EXPECT_TRUE(couples(call("roll", "", R"({"v": 0}, [1], [0])")));
  EXPECT_TRUE(couples(call("narrow", "", R"({"v": 0}, 0, 0, 1)") + less)) << "the first sample";
  EXPECT_TRUE(couples(call("cumsum", "", R"({"v": 0}, 0, null)"), {{4}, Kind::Real, Dtype::Int64}));
  EXPECT_FALSE(couples(call("cumsum", "", R"({"v": 0}, 1, null)"), {{4}, Kind::Real, Dtype::Int64}));
  EXPECT_TRUE(couples(call("reshape", "", R"({"v": 0}, [4, {"batch": 1}])") + "," +
                      call("t", "", R"({"v": 1})")));
}

/// Nobody's generator is touched by a box that draws nothing, and what is drawn leaves no trace.
TEST(AtenBox, ATrainingStepLeavesTheUsersGeneratorsAsTheyWere) {
  for (const char* program :
       {R"([{"op": "aten::tanh", "overload": "", "args": [{"v": 0}]}])",
        R"([{"op": "aten::dropout", "overload": "", "args": [{"v": 0}, 0.5, true]}])"}) {
    Graph net;
    net.output(net.add(linear(2), {net.add(aten_box({.program = program}), {net.input({{6}})})}));
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    const auto loss = make_loss("squared-error");
    const auto rule = make_rule("backprop");
    rule->bind(net, *loss, 1);
    at::Generator user = at::globalContext().defaultGenerator(at::kCPU);
    at::manual_seed(5);
    at::rand({3});
    const Tensor before = user.get_state().clone();
    Gradients sink;
    Step step = Step::look_at({.inputs = at::ones({4, 6}), .draws = Stream(2)}, at::ones({4, 2}));
    static_cast<Rule&>(*rule).assign(step, sink);
    EXPECT_TRUE(at::equal(user.get_state(), before)) << program;
  }
}

/// Two networks with one box, as two agents have them: each run has the parameters of its own.
TEST(AtenBox, RunsOfTwoThreadsDoNotMeet) {
  auto weight = std::make_shared<Param>("weight", Stream(2).normal({32, 32}, at::kDouble));
  const OpPtr op = aten_box(
      {.program = R"([{"op": "aten::linear", "overload": "", "args": [{"v": 0}, {"v": 1}, null]},
                      {"op": "aten::dropout", "overload": "", "args": [{"v": 2}, 0.5, true]}])",
       .params = {weight}});
  const Tensor x = Stream(3).normal({16, 32}, at::kDouble);
  const auto gradient = [&] {
    Saved saved;
    Gradients sink;
    const Tensor out = op->forward(std::vector<Tensor>{x}, saved,
                                   {.mode = Mode::Train, .draws = Stream(4)});
    op->accumulate(saved, out, 1, sink, nullptr, nullptr);
    return sink.of_param(*weight);
  };
  const Tensor expected = gradient(),
               before = at::globalContext().defaultGenerator(at::kCPU).get_state();
  std::vector<std::thread> threads;
  std::atomic<int> others = 0;
  for (int n = 0; n < 2; ++n)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) others += !at::equal(gradient(), expected);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(others, 0);
  EXPECT_TRUE(at::equal(at::globalContext().defaultGenerator(at::kCPU).get_state(), before));
}

TEST(AtenBox, ProgramsThatAreNoneAreRefused) {
  const auto why = [](const std::string& program) {
    return test::message_of([&] {
      Saved saved;
      const OpPtr op = aten_box({.program = program});
      op->infer(std::vector<Spec>{Spec{{3}}});
      op->forward(std::vector<Tensor>{at::ones({2, 3})}, saved, {});
    });
  };
  for (const auto& [program, words] : std::vector<std::pair<std::string, std::string>>{
           {"", "JSON"},
           {"{", "JSON"},
           {"[]", "at least one"},
           {"{}", "list of calls"},
           {"[1]", "a call has"},
           {R"([{"op": 3, "args": []}])", "a call has"},
           {R"([{"op": "aten::no_such", "overload": "", "args": []}])", "no operator 'aten::no_such'"},
           {R"([{"op": "aten::relu", "overload": "", "args": []}])", "takes 1 arguments"},
           {R"([{"op": "aten::relu", "overload": "", "args": [{"v": 7}]}])", "before it is there"},
           {R"([{"op": "aten::relu", "overload": "", "args": [{"w": 0}]}])", "argument"},
           {R"([{"op": "aten::relu", "overload": "", "args": [[[]]]}])", "argument"},
           {R"([{"op": "aten::reshape", "overload": "", "args": [{"v": 0}, ["x"]]}])", "argument"},
           {R"([{"op": "aten::reshape", "overload": "", "args": [{"v": 0}, [7]]}])", "samples of shape"},
           {R"([{"op": "aten::sum", "overload": "", "args": [{"v": 0}, null]}])", "one row per sample"},
           {R"([{"op": "aten::size", "overload": "int", "args": [{"v": 0}, 0]}])", "no tensor"}}) {
    const std::string found = why(program);
    EXPECT_TRUE(contains(found, words)) << program << ": " << found;
    EXPECT_LT(found.size(), 700u) << found;
  }
  EXPECT_TRUE(contains(test::message_of([] { aten_box({.program = kProgram, .inputs = 0}); }), "one input"));
}

TEST(FixedBatchNorm, NormalisesByRunningStatisticsInTrainingToo) {
  auto gain = std::make_shared<Param>("weight", at::tensor({2.0, -1.0}, at::kDouble)),
       bias = std::make_shared<Param>("bias", at::tensor({0.5, 0.1}, at::kDouble));
  const auto op = std::make_shared<FixedBatchNorm>(1e-5, 0.1, gain, bias);
  const auto usual = std::make_shared<BatchNorm>(1e-5, 0.1, gain, bias);
  const std::vector<Spec> specs = {Spec{{2, 3}}};
  for (const auto& one : std::vector<std::shared_ptr<BatchNorm>>{op, usual}) {
    one->build(specs);
    for (auto& [name, buffer] : one->buffers())
      *buffer = name == "running_mean" ? at::tensor({1.0, -2.0}, at::kDouble)
                                       : at::tensor({4.0, 0.25}, at::kDouble);
  }
  const Tensor x = Stream(5).normal({1, 2, 3}, at::kDouble);
  Saved a, b;
  EXPECT_TRUE(at::equal(op->forward(std::vector<Tensor>{x}, a, {.mode = Mode::Train}),
                        usual->forward(std::vector<Tensor>{x}, b, {.mode = Mode::Eval})));
  EXPECT_EQ(op->buffers()[0].second->index({0}).item<double>(), 1);
  EXPECT_FALSE(op->traits().couples_samples);
  check_op(std::make_shared<FixedBatchNorm>(1e-5, 0.1), {{3, 2, 4}});
}

}  // namespace
}  // namespace altprop
