// Boxes of libtorch's operators: what they compute is what libtorch's functions compute, derivatives
// are those of autograd, and programs that are none are refused.
#include "altprop/network/ops/aten_box.h"

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
