// Steps of their own for the samples of a batch: the batch is each sample alone, in outputs and
// gradients, whatever the method; and what goes wrong names the sample.
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/network/ops/norm.h"
#include "altprop/ode/cost.h"
#include "network/check_op.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::apart;
using testing::draw;
using testing::drawn_block;
using testing::Found;
using testing::pass;

constexpr int64_t kUneven = 5;

/// Samples that need different numbers of steps.
Tensor uneven_samples() {
  return draw("x", {kUneven, 3}) *
         at::tensor({0.1, 6.0, 1.0, 20.0, 3.0}, at::kDouble).view({kUneven, 1});
}

Problem of_each(const std::string& solver, std::vector<double> outputs = {}) {
  return {.solver = solver,
          .end_time = 1.3,
          .sizes = {.rtol = solver == "dopri8" ? 1e-6 : 1e-4,
                    .atol = solver == "dopri8" ? 1e-6 : 1e-5,
                    .per_sample = true},
          .outputs = std::move(outputs)};
}

std::vector<std::string> adaptive_solvers() {
  std::vector<std::string> out;
  for (const std::string& name : scheme_names())
    if (scheme(name)->estimates_error()) out.push_back(name);
  return out;
}

std::vector<GradientMethod> methods_of(const Block& block) {
  std::vector<GradientMethod> out(testing::kExact.begin(), testing::kExact.end());
  out.emplace_back(Gradient::Symplectic, 0, 2);
  out.emplace_back(Gradient::Binomial, 2);
  if (block.solver().inverts()) out.emplace_back(Gradient::Mali);
  return out;
}

/// The error estimate of dopri8 is a difference of large terms, whose rounding errors move the
/// steps a little, and the results by what the steps are wrong by.
double rounding_of(const std::string& solver) { return solver == "dopri8" ? 1e-9 : 1e-13; }

class OfEach : public ::testing::TestWithParam<std::string> {};

/// Each sample alone takes the steps of a batch of one, which is the older of both ways.
TEST_P(OfEach, TheBatchIsEachSampleAlone) {
  at::NoGradGuard no_grad;
  const double most_apart = rounding_of(GetParam());
  for (const bool several : {false, true}) {
    Problem problem =
        of_each(GetParam(), several ? std::vector<double>{0, 0.4, 1.3} : std::vector<double>{});
    problem.learnt_time = LearntTime::Plain;
    Problem alone = problem;
    alone.sizes.per_sample = false;
    const auto batch = drawn_block(problem), single = drawn_block(alone);
    const Tensor x = uneven_samples(),
                 cot = draw("cot", several ? std::vector<int64_t>{kUneven, 3, 3}
                                           : std::vector<int64_t>{kUneven, 3});
    for (const GradientMethod& method : methods_of(*batch)) {
      SCOPED_TRACE(method.text());
      const Found all = pass(*batch, method, x, cot);
      std::vector<Tensor> sums;
      int64_t accepted = 0, rejected = 0, fewest = 1 << 20, most = 0;
      for (int64_t b = 0; b < kUneven; ++b) {
        SCOPED_TRACE(b);
        const Found one = pass(*single, method, x.narrow(0, b, 1), cot.narrow(0, b, 1));
        EXPECT_LE(apart(all.out.narrow(0, b, 1), one.out), most_apart);
        EXPECT_LE(apart(all.of_input.narrow(0, b, 1), one.of_input), most_apart);
        for (size_t i = 0; i < one.of_params.size(); ++i) {
          if (b == 0) sums.push_back(at::zeros_like(one.of_params[i]));
          sums[i] += one.of_params[i];
        }
        accepted += one.record.forward.accepted;
        rejected += one.record.forward.rejected;
        fewest = std::min(fewest, one.record.forward.accepted);
        most = std::max(most, one.record.forward.accepted);
      }
      ASSERT_LT(fewest, most) << "the samples are too much alike for this test";
      for (size_t i = 0; i < sums.size(); ++i)
        EXPECT_LE(apart(all.of_params[i], sums[i]), most_apart);
      EXPECT_EQ(all.record.forward.accepted, accepted);
      EXPECT_EQ(all.record.forward.rejected, rejected);
      EXPECT_EQ(all.record.forward.sequences, kUneven);
      EXPECT_EQ(all.record.forward.fewest, fewest);
      EXPECT_EQ(all.record.forward.most, most);
    }
  }
}

TEST_P(OfEach, CreditsOfTimesAreThoseOfEachSample) {
  at::NoGradGuard no_grad;
  const Problem problem = of_each(GetParam(), {0.4, 0.9, 1.3});
  Problem alone = problem;
  alone.sizes.per_sample = false;
  const auto batch = drawn_block(problem), single = drawn_block(alone);
  batch->set_time_credits(true);
  single->set_time_credits(true);
  const Tensor x = uneven_samples(), cot = draw("cot", {kUneven, 3, 3});
  for (const GradientMethod& method : methods_of(*batch)) {
    SCOPED_TRACE(method.text());
    const Tensor all = credits_of_sample_times(pass(*batch, method, x, cot).record);
    ASSERT_EQ(shape_text(all.sizes()), shape_text(std::vector<int64_t>{kUneven, 4}));
    for (int64_t b = 0; b < kUneven; ++b) {
      const std::vector<double> one = credits_of_output_times(
          pass(*single, method, x.narrow(0, b, 1), cot.narrow(0, b, 1)).record);
      for (int64_t k = 0; k < 4; ++k)
        EXPECT_NEAR(all[b][k].item<double>(), one[static_cast<size_t>(k)],
                    1e3 * rounding_of(GetParam()) * (1 + std::abs(one[static_cast<size_t>(k)])))
            << b << ' ' << k;
    }
  }
}

/// With the steps held, as the gradient has them: a repeated pass takes the recorded ones.
TEST_P(OfEach, FiniteDifferencesAndTangentsAgree) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block(of_each(GetParam(), {0.4, 1.3}));
  const Tensor x = uneven_samples(), cot = draw("cot", {kUneven, 2, 3}),
               tangent = draw("tangent", {kUneven, 3});
  Saved saved;
  block->forward(std::vector<Tensor>{x}, saved, {Mode::Train});
  const Tensor pushed = block->jvp(saved, tangent, 0), pulled = block->vjp(saved, cot, 0, nullptr);
  const auto replayed = [&](double e) {
    return block->forward(std::vector<Tensor>{x + tangent * e}, saved, {Mode::Replay});
  };
  const Tensor difference = (replayed(1e-6) - replayed(-1e-6)) / 2e-6;
  EXPECT_LE(apart(pushed, difference), 1e-8);
  EXPECT_NEAR(dot_product(cot, pushed), dot_product(pulled, tangent),
              1e-12 * std::abs(dot_product(cot, pushed)));
  // Two cotangents at once, and two tangents.
  block->forward(std::vector<Tensor>{x}, saved, {Mode::Replay});
  const Tensor other = draw("other", {kUneven, 2, 3}), move = draw("move", {kUneven, 3});
  const Tensor both = block->vjp(saved, at::cat({cot, other}), 0, nullptr);
  block->forward(std::vector<Tensor>{x}, saved, {Mode::Replay});
  EXPECT_LE(apart(both.narrow(0, kUneven, kUneven), block->vjp(saved, other, 0, nullptr)), 1e-14);
  EXPECT_LE(apart(both.narrow(0, 0, kUneven), pulled), 1e-14);
  block->forward(std::vector<Tensor>{x}, saved, {Mode::Replay});
  const Tensor two = block->jvp(saved, at::cat({tangent, move}), 0);
  EXPECT_LE(apart(two.narrow(0, 0, kUneven), pushed), 1e-14);
  EXPECT_LE(apart(two.narrow(0, kUneven, kUneven), block->jvp(saved, move, 0)), 1e-14);
}

TEST_P(OfEach, PermutingTheBatchPermutesTheResult) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block(of_each(GetParam()));
  const Tensor x = uneven_samples(), cot = draw("cot", {kUneven, 3}),
               order = at::tensor({3, 0, 4, 2, 1}, at::kLong);
  const Found found = pass(*block, Gradient::Symplectic, x, cot),
              other = pass(*block, Gradient::Symplectic, x.index_select(0, order),
                           cot.index_select(0, order));
  const double most_apart = rounding_of(GetParam());
  EXPECT_LE(apart(other.out, found.out.index_select(0, order)), most_apart);
  EXPECT_LE(apart(other.of_input, found.of_input.index_select(0, order)), most_apart);
  for (size_t i = 0; i < found.of_params.size(); ++i)
    EXPECT_LE(apart(other.of_params[i], found.of_params[i]), most_apart);
}

INSTANTIATE_TEST_SUITE_P(SampleSteps, OfEach, ::testing::ValuesIn(adaptive_solvers()),
                         [](const auto& info) { return info.param; });

TEST(SampleSteps, ABatchOfOneIsTheBatch) {
  at::NoGradGuard no_grad;
  Problem problem = of_each("dopri5");
  const Tensor x = draw("x", {1, 3}), cot = draw("cot", {1, 3});
  const Found own = pass(*drawn_block(problem), Gradient::Symplectic, x, cot);
  problem.sizes.per_sample = false;
  const Found shared = pass(*drawn_block(problem), Gradient::Symplectic, x, cot);
  EXPECT_LE(apart(own.out, shared.out), 1e-14);
  testing::expect_same_gradients(own, shared, 1e-14);
  EXPECT_EQ(own.record.forward.evaluations, shared.record.forward.evaluations);
}

TEST(SampleSteps, AnEmptyBatchIsEmpty) {
  at::NoGradGuard no_grad;
  const Tensor none = at::zeros({0, 3}, at::kDouble);
  const Found found = pass(*drawn_block(of_each("dopri5")), Gradient::Symplectic, none, none);
  EXPECT_EQ(found.out.sizes(), none.sizes());
  EXPECT_EQ(found.of_input.sizes(), none.sizes());
}

/// One sample that needs many steps costs its own steps and no others.
TEST(SampleSteps, SamplesThatAreDoneCostNothing) {
  at::NoGradGuard no_grad;
  Problem problem{.end_time = 1, .sizes = {.rtol = 1e-6, .atol = 1e-6, .per_sample = true}};
  // z' = -rate z with the rate as the second entry of the state.
  const auto field = [](const Spec& time) {
    auto f = std::make_shared<Graph>();
    const int z = f->input({{2}}, "z");
    f->input(time, "t");
    f->output(f->add(
        autograd_op("decay",
                    [](auto x) {
                      const Tensor rate = x[0].narrow(1, 1, 1);
                      return at::cat({-rate * x[0].narrow(1, 0, 1), at::zeros_like(rate)}, 1);
                    }),
        {z}, "decay"));
    return f;
  };
  Tensor x = at::ones({64, 2}, at::kDouble);
  x[0][1] = 1000;
  const auto work = [&](bool per_sample) {
    problem.sizes.per_sample = per_sample;
    Block block(field(per_sample ? sample_time_spec() : time_spec()), problem);
    Saved saved;
    const Tensor out = block.forward(std::vector<Tensor>{x}, saved, {Mode::Train});
    EXPECT_NEAR(out[5][0].item<double>(), std::exp(-1), 1e-5);
    return Block::record(saved).forward;
  };
  const Costs own = work(true), shared = work(false);
  EXPECT_LT(8 * own.sample_evaluations, shared.sample_evaluations);
  EXPECT_GT(own.most, 20 * own.fewest);
  EXPECT_EQ(shared.sequences, 1);
}

TEST(SampleSteps, JumpsAreSeenByEverySample) {
  at::NoGradGuard no_grad;
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const OpPtr map = linear(1, false);
    auto f = std::make_shared<Graph>();
    const int z = f->input({{1}}, "z"), t = f->input(sample_time_spec(), "t");
    f->output(f->add(
        map,
        {f->add(
            autograd_op(
                "step",
                [](auto x) { return x[0] * 0 + (x[1] < 0.5).to(x[0].scalar_type()) * 2 + 1; }, 2),
            {z, t}, "step")},
        "map"));
    map->params()[0]->value = at::ones({1, 1}, type);
    Block block(f, {.solver = "dopri5", .sizes = {.per_sample = true}, .jumps = {0.5}});
    Saved saved;
    const Tensor end = block.forward(
        std::vector<Tensor>{at::arange(3, at::kDouble).view({3, 1}).to(type)}, saved, {});
    for (int64_t b = 0; b < 3; ++b)
      EXPECT_NEAR(end[b][0].item<double>(), 2.0 + static_cast<double>(b),
                  type == at::kDouble ? 1e-14 : 1e-6);
    EXPECT_EQ(Block::record(saved).forward.rejected, 0);
  }
}

TEST(SampleSteps, InEvaluationNothingButTheBeginIsKept) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block(of_each("dopri5"));
  const Tensor x = uneven_samples(), cot = draw("cot", {kUneven, 3});
  const Found exact = pass(*block, Gradient::Naive, x, cot);
  for (const GradientMethod& method : methods_of(*block)) {
    block->set_gradient(method);
    Saved saved;
    block->forward(std::vector<Tensor>{x}, saved, {Mode::Eval});
    const Record& record = Block::record(saved);
    EXPECT_TRUE(record.stages.empty());
    for (size_t n = 1; n < record.states.size(); ++n) EXPECT_FALSE(record.states[n].defined());
    EXPECT_LE(apart(block->vjp(saved, cot, 0, nullptr), exact.of_input), 1e-14) << method.text();
  }
}

TEST(SampleSteps, AfterMaxStepsEverySampleHasItsOwnEnd) {
  at::NoGradGuard no_grad;
  Problem problem = of_each("heun");
  const Costs whole =
      pass(*drawn_block(problem), Gradient::Symplectic, uneven_samples(), draw("cot", {kUneven, 3}))
          .record.forward;
  problem.sizes.max_steps = (whole.fewest + whole.most) / 2;
  problem.sizes.return_early = true;
  const auto batch = drawn_block(problem);
  problem.sizes.per_sample = false;
  const auto single = drawn_block(problem);
  const Tensor x = uneven_samples(), cot = draw("cot", {kUneven, 3});
  int64_t cut = 0;
  for (const GradientMethod& method : methods_of(*batch)) {
    const Found all = pass(*batch, method, x, cot);
    cut = 0;
    for (int64_t b = 0; b < kUneven; ++b) {
      const Found one = pass(*single, method, x.narrow(0, b, 1), cot.narrow(0, b, 1));
      EXPECT_LE(apart(all.out.narrow(0, b, 1), one.out), 1e-13);
      EXPECT_LE(apart(all.of_input.narrow(0, b, 1), one.of_input), 1e-13);
      cut += one.record.forward.cut;
    }
    EXPECT_EQ(all.record.forward.cut, cut);
  }
  EXPECT_GT(cut, 0);
  EXPECT_LT(cut, kUneven);
}

TEST(SampleSteps, BlocksOfTheirOwnStepsStandInBlocks) {
  at::NoGradGuard no_grad;
  auto inner = std::make_shared<Graph>();
  inner->output(inner->add(linear(3), {inner->input({{3}}, "z")}, "a"));
  auto f = std::make_shared<Graph>();
  f->output(f->add(block(inner, of_each("heun")), {f->input({{3}}, "z")}, "inner"));
  Graph net;
  net.output(net.add(block(f, of_each("dopri5")), {net.input({{3}})}, "outer"));
  EXPECT_FALSE(net.traits().couples_samples);
  Problem shared = of_each("heun");
  shared.sizes.per_sample = false;
  auto coupled = std::make_shared<Graph>();
  coupled->output(coupled->add(block(inner, shared), {coupled->input({{3}}, "z")}, "inner"));
  EXPECT_THROW(net.add(block(coupled, of_each("dopri5")), {net.input_nodes()[0]}, "other"),
               Refusal);
}

// ---- what goes wrong ----

std::string failure_sentence(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void expect_sentence(const std::string& said, const std::vector<std::string>& parts) {
  EXPECT_LT(said.size(), 700u);
  for (const std::string& part : parts)
    EXPECT_NE(said.find(part), std::string::npos) << "says: " << said << "\nnot: " << part;
}

/// What `integrate` says of z' = f(z) with steps of their own from these numbers.
std::string said_of_samples(const std::function<Tensor(const Tensor&)>& f,
                            std::vector<double> begin, StepSizes sizes) {
  sizes.per_sample = true;
  const Field field = [&](const Moment&, const Tensor& z) { return Evaluation{f(z)}; };
  const auto rows = static_cast<int64_t>(begin.size());
  return failure_sentence([&] {
    integrate(tableau("dopri5"), field, at::tensor(begin, at::kDouble).view({rows, 1}), 0, 2, sizes,
              {});
  });
}

TEST(SampleSteps, FailuresNameTheSample) {
  const auto square = [](const Tensor& z) { return z * z; };
  expect_sentence(said_of_samples(square, {0.1, -1, 1, 0.2}, {}),
                  {"sample 2 of the batch", "underflows at time 0.999", "|lambda| h was about"});
  expect_sentence(said_of_samples(square, {0.1, NAN}, {}),
                  {"sample 1 of the batch", "not finite at time 0"});
  const auto decay = [](const Tensor& z) { return -z * z.abs() * 1e4; };
  expect_sentence(said_of_samples(decay, {0.0, 1e-3, 50}, {.max_steps = 20}),
                  {"sample 2 of the batch", "after 20 steps", "max-steps"});
  const auto breaks = [](const Tensor& z) { return at::where(z > 0.5, z / 0, z * 0 + 1); };
  expect_sentence(said_of_samples(breaks, {-9, 0.2}, {}),
                  {"sample 1 of the batch", "not finite at time 0.3"});
}

TEST(SampleSteps, WhatCannotBeIsRefused) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block(of_each("dopri5"));
  expect_sentence(failure_sentence([&] { block->set_gradient(Gradient::Adjoint); }),
                  {"adjoint", "steps-of=sample", "symplectic"});
  expect_sentence(failure_sentence([&] { Block(testing::timed_mlp(3), of_each("dopri5")); }),
                  {"one time for the whole batch", "sample_time_spec"});
  Problem equal = of_each("rk4");
  equal.sizes.steps = 3;
  expect_sentence(failure_sentence([&] { drawn_block(equal); }), {"steps-of=sample"});
}

/// A module whose values for a sample depend on the others cannot come and go with them.
TEST(SampleSteps, WhatBelongsToTheBatchIsRefused) {
  at::NoGradGuard no_grad;
  const auto with = [](const AutogradOp::Function& function) {
    auto f = std::make_shared<Graph>();
    f->output(f->add(autograd_op("own", function), {f->input({{3}}, "z")}, "own"));
    Block block(f, of_each("dopri5"));
    return failure_sentence([&] {
      for (const int64_t rows : {4, 1}) {
        Saved saved;
        block.forward(std::vector<Tensor>{draw("x", {rows, 3})}, saved, {Mode::Train});
      }
    });
  };
  EXPECT_EQ(with([](auto x) { return at::tanh(x[0]); }), "");
  expect_sentence(with([](auto x) { return at::dropout(x[0], 0.5, true); }), {"other samples"});
  expect_sentence(with([](auto x) { return x[0] - x[0].mean(0, true); }), {"other samples"});
}

TEST(SampleSteps, OneSampleWhoseModuleDrawsForTheBatchIsNoticedToo) {
  at::NoGradGuard no_grad;
  auto f = std::make_shared<Graph>();
  f->output(f->add(autograd_op("own", [](auto x) { return at::dropout(x[0], 0.5, true); }),
                   {f->input({{64}}, "z")}, "own"));
  Block block(f, of_each("dopri5"));
  Saved saved;
  expect_sentence(failure_sentence([&] {
                    block.forward(std::vector<Tensor>{draw("x", {1, 64})}, saved, {Mode::Train});
                  }),
                  {"other samples"});
}

}  // namespace
}  // namespace altprop::ode
