// Binomial checkpoints and graphs of several stages: the fewest repetitions that there are, in the
// memory that was given, and the same gradient.
#include <gtest/gtest.h>

#include <map>

#include <ATen/core/grad_mode.h>

#include "altprop/base/error.h"
#include "altprop/ode/revolve.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

using testing::draw;
using testing::drawn_block;
using testing::expect_same_gradients;
using testing::Found;
using testing::pass;

/// The fewest steps taken before those that are reversed, by trying all first parts.
int64_t fewest(int64_t l, int64_t c, std::map<std::pair<int64_t, int64_t>, int64_t>& known) {
  if (l <= 1) return 0;
  if (c == 1) return l * (l - 1) / 2;
  int64_t& out = known[{l, c}];
  if (out > 0) return out;
  int64_t best = l * l;
  for (int64_t m = 1; m < l; ++m)
    best = std::min(best, m + fewest(l - m, c - 1, known) + fewest(m, c, known));
  return known[{l, c}] = best;
}

/// What `first_part` leads to.
int64_t taken(int64_t l, int64_t c) {
  if (l <= 1) return 0;
  if (c == 1) return l * (l - 1) / 2;
  const int64_t m = first_part(l, c);
  EXPECT_GE(m, 1);
  EXPECT_LT(m, l);
  return m + taken(l - m, c - 1) + taken(m, c);
}

TEST(OdeCheckpoints, NoOtherWayRepeatsFewerSteps) {
  std::map<std::pair<int64_t, int64_t>, int64_t> known;
  for (int64_t c = 1; c <= 7; ++c)
    for (int64_t l = 1; l <= 70; ++l) {
      const int64_t least = fewest(l, c, known);
      EXPECT_EQ(taken(l, c), least) << l << ' ' << c;
      EXPECT_EQ(repeated_steps(l, c), std::max<int64_t>(0, least - (l - 1))) << l << ' ' << c;
    }
  // Griewank and Walther's own figures: with c states and r repetitions C(c + r, c) steps.
  EXPECT_EQ(binomial_reach(3, 2), 10);
  EXPECT_EQ(binomial_reach(60, 60), INT64_MAX);  // and not what it overflows to
  EXPECT_EQ(repeated_steps(1'000'000, 1'000'000), 0);
}

TEST(OdeCheckpoints, AnUnknownNumberOfStepsKeepsToTheMemory) {
  for (const int64_t c : {1, 2, 5, 16}) {
    Keeping keeping(0, c);
    std::vector<char> kept;
    for (int64_t n = 0; n < 200; ++n) {
      kept.push_back(keeping.keep(n));
      for (const int64_t one : keeping.take_dropped()) kept[static_cast<size_t>(one)] = 0;
      const auto alive = std::count(kept.begin(), kept.end(), 1);
      EXPECT_LE(alive, c);
      EXPECT_GE(2 * alive, std::min(c, n + 1)) << "most of the memory is used";
      EXPECT_TRUE(kept[0]);
    }
  }
}

TEST(OdeCheckpoints, TheGradientIsTheSameAndTheCostsAreThoseOfTheBook) {
  at::NoGradGuard no_grad;
  const int64_t n = 20;
  for (const std::string solver : {"rk4", "midpoint", "alf"}) {
    const auto block = drawn_block({.solver = solver, .sizes = {.steps = n}});
    const int64_t s = block->solver().stages(), begin = solver == "alf" ? 1 : 0;
    const Tensor x = draw("x"), cot = draw("cot");
    const Found naive = pass(*block, Gradient::Naive, x, cot);
    for (const int64_t c : {1, 2, 3, 5, 8, 20, 100}) {
      SCOPED_TRACE(solver + " " + std::to_string(c));
      const Found found = pass(*block, {Gradient::Binomial, c}, x, cot);
      expect_same_gradients(found, naive, 1e-14);
      const int64_t again = repeated_steps(n, std::min(c, n));
      EXPECT_EQ(found.record.backward.repeated, again);
      EXPECT_EQ(found.record.backward.evaluations, n * (2 * s - 1) + s * again + begin);
    }
  }
}

TEST(OdeCheckpoints, AdaptiveStepsToo) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block({.sizes = {.rtol = 1e-11, .atol = 1e-11}});
  const Tensor x = draw("x"), cot = draw("cot");
  const Found naive = pass(*block, Gradient::Naive, x, cot);
  ASSERT_GT(naive.record.forward.accepted, 8);
  for (const int64_t c : {0, 1, 2, 4, 1000}) {
    const Found found = pass(*block, {Gradient::Binomial, c}, x, cot);
    expect_same_gradients(found, naive, 1e-14);
    EXPECT_EQ(found.record.backward.repeated == 0, c == 1000);
  }
}

TEST(OdeCheckpoints, GraphsOfSeveralStagesLieBetweenSymplecticAndAca) {
  at::NoGradGuard no_grad;
  for (const std::string solver : {"rk4", "dopri5", "dopri8"}) {
    const int64_t n = 3, s = tableau(solver).stages();
    const auto block = drawn_block({.solver = solver, .sizes = {.steps = n}});
    const Tensor x = draw("x"), cot = draw("cot");
    const Found naive = pass(*block, Gradient::Naive, x, cot);
    for (int64_t g = 1; g <= s + 1; ++g) {
      const Found found = pass(*block, {Gradient::Symplectic, 0, g}, x, cot);
      expect_same_gradients(found, naive, 1e-14);
      EXPECT_EQ(found.record.backward.evaluations, n * (2 * s - std::min(g, s))) << g;
    }
  }
}

/// In evaluation no method keeps more than the begin, and a reverse pass is possible all the same.
TEST(OdeCheckpoints, InEvaluationNothingButTheBeginIsKept) {
  at::NoGradGuard no_grad;
  const auto block = drawn_block({.solver = "rk4", .sizes = {.steps = 6}});
  const Tensor x = draw("x"), cot = draw("cot");
  const Found exact = pass(*block, Gradient::Naive, x, cot);
  for (const Gradient gradient : testing::kExact) {
    block->set_gradient(gradient);
    Saved saved;
    block->forward(std::vector<Tensor>{x}, saved, {Mode::Eval});
    const Record& record = Block::record(saved);
    EXPECT_TRUE(record.stages.empty());
    for (size_t n = 1; n < record.states.size(); ++n) EXPECT_FALSE(record.states[n].defined());
    EXPECT_LE(testing::apart(block->vjp(saved, cot, 0, nullptr), exact.of_input), 1e-14);
  }
}

TEST(OdeCheckpoints, OptionsWithoutEffectAreRefused) {
  EXPECT_THROW(gradient_method("aca", 3, 0), UsageError);
  EXPECT_THROW(gradient_method("naive", 0, 2), UsageError);
  EXPECT_EQ(gradient_method("binomial", 3, 2).text(), "binomial, 3 checkpoints, 2 graph stages");
  const auto block = drawn_block({.solver = "rk4", .sizes = {.steps = 6}});
  EXPECT_THROW(block->set_gradient(Gradient::Mali), UsageError);
}

}  // namespace
}  // namespace altprop::ode
