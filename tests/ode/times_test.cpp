// Several outputs, and the credits of times: against numbers of another implementation, finite
// differences, and each other.
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/base/error.h"
#include "network/check_op.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;
using testing::drawn_block;
using testing::Found;
using testing::pass;

class OdeTimes : public ::testing::TestWithParam<std::string> {};

/// x(0) = 0.8, steps of 1/4 to 1, L = (x(1) - 1)^2 / 2 + x(1/2)^2 / 4: another implementation's
/// numbers, confirmed there by complex steps: dL/dx(0), dL/dp, dL/dt_0, dL/dt_2, dL/dt_4.
TEST_P(OdeTimes, AFixtureWithALossAlongTheTrajectory) {
  at::NoGradGuard no_grad;
  const std::map<std::string, std::vector<double>> known = {
      {"euler",
       {1.70607295228226, 1.99877107368172, 0.891845718408036, 0.324293329929454, 0.404918352609091,
        -1.47521169007, 0.52530294783, 0.724357428612}},
      {"heun",
       {1.75579212138796, 2.09386330324204, 1.05168934106654, 0.5200894642674, 0.701456117228968,
        -1.65775025713, 0.58087192245, 0.87350005601}},
      {"midpoint",
       {1.75511483262746, 2.08938013067713, 1.05684313185092, 0.519886885880622, 0.684023712793059,
        -1.65628667261, 0.581882290161, 0.867447605061}},
      {"rk4",
       {1.75745396733981, 2.09155775666878, 1.06316261987854, 0.528708441310838, 0.704383465704935,
        -1.66660853412, 0.585352342444, 0.877043404886}},
      {"rk38",
       {1.75745174977756, 2.0915545209441, 1.0631542843365, 0.528698317721225, 0.704360206152004,
        -1.66659244404, 0.585345348688, 0.877034143173}},
      {"bosh3",
       {1.75735196376484, 2.09149399805358, 1.06271078796841, 0.528366612029248, 0.703783692293224,
        -1.66598134911, 0.58510337053, 0.87662566401}},
      {"fehlberg2",
       {1.75512916207793, 2.08940223829395, 1.05686616246263, 0.519935685162052, 0.68417321604211,
        -1.6563451209, 0.581898481422, 0.867513535277}},
      {"dopri5",
       {1.75745821173189, 2.09155422286913, 1.06319299457365, 0.528729516484949, 0.704403622679855,
        -1.66664322874, 0.585367186946, 0.877060577471}},
      {"dopri8",
       {1.75745818109702, 2.0915543332407, 1.0631927266486, 0.528729311442082, 0.704403412279206,
        -1.66664278115, 0.585366999766, 0.87706050802}}};
  if (!known.contains(GetParam())) GTEST_SKIP() << "not among those that were computed elsewhere";
  const std::vector<double>& expected = known.at(GetParam());
  for (const Gradient gradient : testing::kExact) {
    SCOPED_TRACE(gradient_names()[static_cast<size_t>(gradient)]);
    Block block(testing::fixture_field(),
                {.solver = GetParam(), .sizes = {.steps = 1}, .outputs = {0, 0.25, 0.5, 0.75, 1}});
    block.set_gradient(gradient);
    block.set_time_credits(true);
    Saved saved;
    const Tensor x = block.forward(std::vector<Tensor>{at::full({1, 1}, 0.8, at::kDouble)}, saved,
                                   {Mode::Train});
    ASSERT_EQ(shape_text(x.sizes()), shape_text(std::vector<int64_t>{1, 5, 1}));
    EXPECT_NEAR(x[0][4][0].item<double>(), expected[0], 2e-14);
    Tensor cot = at::zeros_like(x);
    cot[0][4] = x[0][4] - 1;
    cot[0][2] = x[0][2] / 2;
    Feedback exact;
    Gradients sink;
    Sweep sweep{exact, &sink};
    const char wanted = 1;
    const Tensor at_begin = block.credit(saved, cot, {&wanted, 1}, nullptr, sweep)[0];
    EXPECT_NEAR(at_begin.item<double>(), expected[1], 3e-14);
    const Tensor p = sink.of_param(*block.params()[0]);
    for (int i = 0; i < 3; ++i)
      EXPECT_NEAR(p[0][i].item<double>(), expected[static_cast<size_t>(i) + 2], 3e-14) << i;
    const std::vector<double> of_times = credits_of_output_times(Block::record(saved));
    ASSERT_EQ(of_times.size(), 5u);
    EXPECT_NEAR(of_times[0], expected[5], 1e-11);
    EXPECT_NEAR(of_times[2], expected[6], 1e-11);
    EXPECT_NEAR(of_times[4], expected[7], 1e-11);
    // Times without a loss matter the less, the higher the order.
    if (GetParam() == "rk4") {
      EXPECT_NEAR(of_times[1], -7.3e-6, 0.1e-6);
      EXPECT_NEAR(of_times[3], -1.3e-6, 0.1e-6);
    }
    if (GetParam() == "dopri8") {
      EXPECT_NEAR(of_times[1], -4e-12, 1e-12);
      EXPECT_NEAR(of_times[3], 3e-12, 1e-12);
    }
    // An output at the begin is the input.
    cot[0][0] = 2;
    EXPECT_NEAR(block.vjp(saved, cot, 0, nullptr).item<double>(), expected[1] + 2, 3e-14);
  }
}

/// OpCheck compares every derivative with central differences, that of T among them.
TEST_P(OdeTimes, OutputsAndALearntEndKeepThePromisesOfAnOperation) {
  at::NoGradGuard no_grad;
  for (const Gradient gradient :
       {Gradient::Naive, Gradient::OneCheckpoint, Gradient::Symplectic, Gradient::Binomial}) {
    SCOPED_TRACE(gradient_names()[static_cast<size_t>(gradient)]);
    auto block = std::make_shared<Block>(testing::timed_mlp(2, 2),
                                         Problem{.solver = GetParam(),
                                                 .end_time = 1.2,
                                                 .sizes = {.steps = 2},
                                                 .outputs = {0.4, 1.2},
                                                 .learnt_time = LearntTime::Square});
    EXPECT_EQ(block->params().back()->name, "T");
    block->set_gradient(gradient);
    OpCheck(block, {{2, 2}}).run();
  }
}

/// T as it is: against central differences.
TEST_P(OdeTimes, ALearntEndMovesTheOutput) {
  at::NoGradGuard no_grad;
  const auto block =
      drawn_block({.solver = GetParam(), .sizes = {.steps = 3}, .learnt_time = LearntTime::Plain});
  Tensor& end = block->params().back()->value;
  const Tensor x = draw("x"), cot = draw("cot");
  const auto seen = [&](double time) {
    end.fill_(time);
    Saved saved;
    return dot_product(block->forward(std::vector<Tensor>{x}, saved, {Mode::Train}), cot);
  };
  const double expected = (seen(0.9 + 1e-6) - seen(0.9 - 1e-6)) / 2e-6;
  end.fill_(0.9);
  for (const Gradient gradient : testing::kExact)
    EXPECT_NEAR(pass(*block, gradient, x, cot).of_params.back().item<double>(), expected, 1e-8);
}

INSTANTIATE_TEST_SUITE_P(Times, OdeTimes, ::testing::ValuesIn(tableau_names()),
                         [](const auto& info) { return info.param; });

TEST(OdeOutputs, AdaptiveOutputsAreThoseOfSeparateIntegrations) {
  at::NoGradGuard no_grad;
  const Tensor x = draw("x");
  const StepSizes sizes{.rtol = 1e-9, .atol = 1e-9};
  const auto all = drawn_block({.end_time = 1, .sizes = sizes, .outputs = {0.3, 0.7, 1}});
  Saved saved;
  const Tensor outputs = all->forward(std::vector<Tensor>{x}, saved, {Mode::Train});
  for (int64_t k = 0; k < 3; ++k) {
    const double end = std::vector<double>{0.3, 0.7, 1}[static_cast<size_t>(k)];
    const auto one = drawn_block({.end_time = end, .sizes = sizes});
    Saved own;
    EXPECT_LE(apart(outputs.select(1, k), one->forward(std::vector<Tensor>{x}, own, {Mode::Train})),
              1e-8);
  }
  const Tensor cot = draw("cot", {4, 3, 3});
  const Found naive = pass(*all, Gradient::Naive, x, cot);
  for (const Gradient gradient : testing::kExact)
    testing::expect_same_gradients(pass(*all, gradient, x, cot), naive, 1e-14);
  const Found adjoint = pass(*all, Gradient::Adjoint, x, cot);
  testing::expect_same_gradients(adjoint, naive, 1e-5);
  EXPECT_GT(apart(adjoint.of_input, naive.of_input), 1e-12);
}

/// dL/dT of T alone is <cot, f(T, x(T))> to the order of the method.
TEST(OdeOutputs, TheCreditOfTheEndIsTheRateThere) {
  at::NoGradGuard no_grad;
  for (const Gradient gradient : {Gradient::Symplectic, Gradient::Adjoint}) {
    const auto block = drawn_block({.solver = "rk4", .sizes = {.steps = 20}});
    block->set_time_credits(true);
    const Tensor cot = draw("cot");
    const Found found = pass(*block, gradient, draw("x"), cot);
    const Tensor rate = field_of(*block->parts(), {}, false)(1, found.out).slope;
    EXPECT_NEAR(credit_of_end_time(found.record), dot_product(rate, cot),
                gradient == Gradient::Adjoint ? 1e-12 : 1e-5);
  }
}

/// <credit, tangent> is the same in front of every step: the reverse pass is the transposed one.
TEST(OdeOutputs, CreditAndTangentKeepTheirProductOverEveryStep) {
  at::NoGradGuard no_grad;
  const auto f = testing::timed_mlp(3);
  const auto product_drift = [&](Gradient gradient) {
    std::vector<Tensor> x = {draw("x")}, delta = {draw("tangent")};
    std::vector<Saved> saved(6);
    const auto block = drawn_block({.solver = "rk4", .end_time = 0.5, .sizes = {.steps = 1}});
    block->set_gradient(gradient);
    for (size_t n = 0; n < saved.size(); ++n) {
      x.push_back(block->forward(std::vector<Tensor>{x.back()}, saved[n], {Mode::Train}));
      delta.push_back(block->jvp(saved[n], delta.back(), 0));
    }
    Tensor lambda = draw("cot");
    const double product = dot_product(lambda, delta.back());
    double drift = 0;
    for (size_t n = saved.size(); n-- > 0;) {
      lambda = block->vjp(saved[n], lambda, 0, nullptr);
      drift = std::max(drift, std::abs(dot_product(lambda, delta[n]) / product - 1));
    }
    return drift;
  };
  for (const Gradient gradient : testing::kExact) EXPECT_LE(product_drift(gradient), 1e-13);
  EXPECT_GT(product_drift(Gradient::Adjoint), 1e-7);
}

TEST(OdeOutputs, TimesThatAreNotInOrderAreRefused) {
  EXPECT_THROW(drawn_block({.end_time = 1, .outputs = {0.5, 0.2, 1}}), UsageError);
  EXPECT_THROW(drawn_block({.end_time = 1, .outputs = {0.5, 0.9}}), UsageError);
  EXPECT_THROW(drawn_block({.end_time = 1, .jumps = {1}}), UsageError);
  EXPECT_THROW(drawn_block({.end_time = 1, .sizes = {.return_early = true}, .jumps = {0.5}}),
               UsageError);
}

TEST(OdeOutputs, ALearntEndThatHasGoneIsAnErrorInOneSentence) {
  at::NoGradGuard no_grad;
  const auto block =
      drawn_block({.solver = "rk4", .sizes = {.steps = 2}, .learnt_time = LearntTime::Plain});
  block->params().back()->value.fill_(-0.5);
  Saved saved;
  try {
    block->forward(std::vector<Tensor>{draw("x")}, saved, {Mode::Train});
    FAIL();
  } catch (const Diverged& error) {
    EXPECT_NE(std::string(error.what()).find("T=-0.5"), std::string::npos) << error.what();
  }
}

/// f jumps at 0.5; a step that ends there sees one side only, and the result is exact.
TEST(OdeOutputs, AJumpIsTheEndOfAStep) {
  at::NoGradGuard no_grad;
  for (const at::ScalarType type : {at::kDouble, at::kFloat})
    for (const StepSizes& sizes : {StepSizes{.steps = 2}, StepSizes{}}) {
      const OpPtr map = linear(1, false);
      auto f = testing::one_dimensional(
          [](const Tensor& t, const Tensor& z) {
            return at::zeros_like(z) + (t < 0.5).to(z.scalar_type()) * 2 + 1;
          },
          map);
      map->params()[0]->value = at::ones({1, 1}, type);
      Block block(f, {.solver = "dopri5", .sizes = sizes, .jumps = {0.5}});
      Saved saved;
      const Tensor end = block.forward(std::vector<Tensor>{at::zeros({1, 1}, type)}, saved, {});
      EXPECT_NEAR(end.item<double>(), 0.5 * 3 + 0.5 * 1, type == at::kDouble ? 1e-14 : 1e-6);
      EXPECT_EQ(Block::record(saved).forward.rejected, 0);
    }
}

// ---- step sizes ----

TEST(OdeOutputs, ControllersOfTheLiterature) {
  Controller i(Control::I, 5), pi(Control::Pi, 5);
  EXPECT_NEAR(i.factor(0.5), next_factor(0.5, 5), 1e-15);
  EXPECT_NEAR(pi.factor(0.1), 0.9 * std::pow(10, 0.7 / 5), 1e-14);
  // The error of the step before slows growth down.
  EXPECT_NEAR(pi.factor(0.1), std::max(1.0, 0.9 * std::pow(10, 0.7 / 5) * std::pow(10, -0.4 / 5)),
              1e-14);
  EXPECT_LE(pi.factor(1.01), 0.9);
  // H312PID goes by the last three errors with 1/18, 1/9 and 1/18 of the order; an error that is
  // rejected is not remembered.
  Controller pid(Control::Pid, 5);
  EXPECT_NEAR(pid.factor(1e-10), 0.9 * std::pow(1e10, 1.0 / 18 / 5), 1e-13);
  EXPECT_NEAR(pid.factor(1e-20), 0.9 * std::pow(1e20, 1.0 / 18 / 5) * std::pow(1e10, 1.0 / 9 / 5),
              1e-13);
  EXPECT_LE(pid.factor(4), 0.9);
  EXPECT_NEAR(pid.factor(1e-15),
              0.9 * std::pow(1e15, 1.0 / 18 / 5) * std::pow(1e20, 1.0 / 9 / 5) *
                  std::pow(1e10, 1.0 / 18 / 5),
              1e-13);
  for (const Control control : {Control::I, Control::Pi, Control::Pid}) {
    const auto block = drawn_block({.sizes = {.rtol = 1e-6, .atol = 1e-6, .control = control}}),
               fine = drawn_block({.sizes = {.rtol = 1e-10, .atol = 1e-10}});
    Saved a, b;
    EXPECT_LE(apart(block->forward(std::vector<Tensor>{draw("x")}, a, {Mode::Train}),
                    fine->forward(std::vector<Tensor>{draw("x")}, b, {Mode::Train})),
              1e-5);
  }
}

TEST(OdeOutputs, StepsKeepToTheirBounds) {
  at::NoGradGuard no_grad;
  Saved saved;
  const auto longest = drawn_block({.sizes = {.max_step = 0.07}});
  longest->forward(std::vector<Tensor>{draw("x")}, saved, {Mode::Train});
  for (const TimeStep& step : Block::record(saved).steps) EXPECT_LE(step.h, 0.07);
  const auto shortest = drawn_block({.sizes = {.rtol = 1e-13, .atol = 1e-13, .min_step = 0.2}});
  shortest->forward(std::vector<Tensor>{draw("x")}, saved = {}, {Mode::Train});
  EXPECT_LE(Block::record(saved).steps.size(), 6u);
  EXPECT_NEAR(Block::record(saved).steps.front().h, 0.2, 1e-12);
}

TEST(OdeOutputs, TooManyStepsEndInAnErrorOrEarly) {
  at::NoGradGuard no_grad;
  const StepSizes stop{.rtol = 1e-9, .atol = 1e-9, .max_steps = 3};
  Saved saved;
  EXPECT_THROW(
      drawn_block({.sizes = stop})->forward(std::vector<Tensor>{draw("x")}, saved, {Mode::Train}),
      Diverged);
  StepSizes early = stop;
  early.return_early = true;
  const auto block = drawn_block({.sizes = early});
  const Found naive = pass(*block, Gradient::Naive, draw("x"), draw("cot"));
  EXPECT_EQ(naive.record.forward.cut, 1);
  EXPECT_LT(naive.record.steps.back().t + naive.record.steps.back().h, 1);
  testing::expect_same_gradients(pass(*block, Gradient::Symplectic, draw("x"), draw("cot")), naive,
                                 1e-14);
}

/// The estimate of dopri8's error is a difference of large terms: in float32 it is noise below some
/// tolerance, and a run is warned.
TEST(OdeOutputs, RoundingErrorsAboveTheToleranceAreNoticed) {
  at::NoGradGuard no_grad;
  const auto noise = [](at::ScalarType type, double tolerance) {
    Graph net;
    net.output(net.add(
        drawn_block({.solver = "dopri8", .sizes = {.rtol = tolerance, .atol = tolerance}}, type),
        {net.input({{3}})}, "again"));
    Counting counting(net);
    net.predict(draw("x").to(type));
    return counting.tally().forward.noise;
  };
  EXPECT_GT(noise(at::kFloat, 1e-8), 1);
  EXPECT_LT(noise(at::kFloat, 1e-3), 1);
  EXPECT_LT(noise(at::kDouble, 1e-8), 1e-3);
}

}  // namespace
}  // namespace altprop::ode
