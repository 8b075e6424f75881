// What gradient methods are predicted to cost, against what they do cost, and the choice by memory.
#include "altprop/ode/cost.h"

#include <ATen/core/grad_mode.h>

#include "altprop/base/error.h"
#include "altprop/tensor/memory.h"
#include "ode/passes.h"

namespace altprop::ode {
namespace {

/// The network of the published measurements: f = 17-128-128-16 with tanh, rk4.
Graph measured_net(int64_t steps, const std::string& solver = "rk4") {
  auto f = std::make_shared<Graph>();
  const int z = f->input({{16}}, "z"), t = f->input(time_spec(), "t");
  int h = f->add(with_time(), {z, t});
  h = f->add(activation("tanh"), {f->add(linear(128), {h}, "a")});
  h = f->add(activation("tanh"), {f->add(linear(128), {h}, "b")});
  f->output(f->add(linear(16), {h}, "c"));
  Graph net;
  net.output(
      net.add(block(f, {.solver = solver, .sizes = {.steps = steps}}), {net.input({{16}})}, "ode"));
  initialise(net, Initialiser("xavier"), Stream(1).at("init"));
  return net;
}

constexpr int64_t kRows = 256;

/// Of kRows samples, by one method.
int64_t peak_of(const Graph& net, const GradientMethod& method) {
  set_gradient(net, method);
  return testing::peak_of_pass(net, Stream(1).at("x").normal({kRows, 16}),
                               Stream(1).at("c").normal({kRows, 16}));
}

TEST(OdeCost, PredictionsAreWhatIsTaken) {
  at::NoGradGuard no_grad;
  memory::install();
  const int64_t n = 25;
  for (const std::string solver : {"rk4", "alf"}) {
    const Graph net = measured_net(n, solver);
    const std::vector<Profile> seen = profiles(net, kRows);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].state_bytes, kRows * 16 * 4);
    // The activities of one evaluation: 17 + 128 + 128 values of a sample.
    EXPECT_NEAR(static_cast<double>(seen[0].kept_bytes), kRows * (17 + 128 + 128) * 4.0, 4096);
    for (const GradientMethod& method :
         {GradientMethod(Gradient::Naive), GradientMethod(Gradient::OneCheckpoint),
          GradientMethod(Gradient::Aca), GradientMethod(Gradient::Symplectic),
          GradientMethod(Gradient::Symplectic, 0, 2), GradientMethod(Gradient::Binomial, 4),
          GradientMethod(Gradient::Mali), GradientMethod(Gradient::Adjoint)}) {
      if (!seen[0].has(method)) continue;
      const auto predicted = static_cast<double>(bytes_of(seen, method)),
                 measured = static_cast<double>(peak_of(net, method));
      EXPECT_LE(measured, 1.1 * predicted) << solver << ' ' << method.text();
      EXPECT_GE(measured, 0.7 * predicted) << solver << ' ' << method.text();
      RecordProperty(solver + method.text(), std::to_string(measured));
    }
  }
}

/// The published formulas, with U what an evaluation keeps and W what its reverse pass takes.
TEST(OdeCost, MemoryIsThatOfTheFormulas) {
  at::NoGradGuard no_grad;
  memory::install();
  const int64_t n = 100, s = 4;
  const Graph net = measured_net(n);
  const Profile p = profiles(net, kRows)[0];
  const int64_t u = p.kept_bytes, x = p.state_bytes, w = p.sweep_bytes;
  const auto at_most = [&](const GradientMethod& method, int64_t formula) {
    EXPECT_LE(peak_of(net, method), 1.1 * static_cast<double>(formula) + w) << method.text();
  };
  at_most(Gradient::Naive, n * s * u);
  at_most(Gradient::Aca, s * u + n * x);
  at_most(Gradient::Symplectic, u + (n + s) * x);
  at_most({Gradient::Binomial, 8}, u + (8 + s + 1) * x);
}

TEST(OdeCost, TheFastestThatFitsIsTaken) {
  at::NoGradGuard no_grad;
  memory::install();
  const Graph net = measured_net(25);
  const std::vector<Profile> seen = profiles(net, kRows);
  EXPECT_EQ(fastest_within(seen, 1 << 30).method.kind, Gradient::Naive);
  int64_t before = INT64_MAX;
  const int64_t least = bytes_of(seen, {Gradient::Binomial, 1, 1});
  for (int64_t budget = 1 << 26; budget >= least; budget = budget * 9 / 10) {
    const Choice choice = fastest_within(seen, budget);
    EXPECT_LE(choice.bytes, budget);
    EXPECT_LE(choice.bytes, before) << "less memory never takes more";
    before = choice.bytes;
    EXPECT_LE(peak_of(net, choice.method), 1.1 * static_cast<double>(budget))
        << choice.sentence;
    EXPECT_LT(choice.sentence.size(), 400u);
  }
  EXPECT_EQ(fastest_within(seen, bytes_of(seen, Gradient::Aca)).method.kind, Gradient::Aca);
  try {
    fastest_within(seen, least - 1);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("binomial, 1 checkpoint"), std::string::npos);
  }
}

/// What a run says in front of its first step, after one pass over a batch.
TEST(OdeCost, WarningsSayWhatThePassHasShown) {
  at::NoGradGuard no_grad;
  const auto warnings = [](const std::string& solver, double rate, at::ScalarType type) {
    auto f = std::make_shared<Graph>();
    f->output(f->add(linear(1, false), {f->input({{1}}, "z")}, "map"));
    Graph net;
    Problem problem{.solver = solver, .end_time = 5};
    if (solver == "dopri8") problem.sizes.rtol = problem.sizes.atol = 1e-8;
    net.output(net.add(block(f, problem), {net.input({{1}})}, "ode1"));
    net.to(at::kCPU, type);
    f->params()[0]->value.fill_(-rate);
    std::vector<Profile> seen = profiles(net, 2);
    const Tally tally = measure_steps(net, at::ones({2, 1}, type), seen);
    return warnings_of(seen, net, Gradient::Symplectic, &tally);
  };
  const auto expect_in = [](const std::vector<std::string>& said,
                            const std::vector<std::string>& parts) {
    ASSERT_EQ(said.size(), 1u);
    for (const std::string& part : parts)
      EXPECT_NE(said[0].find(part), std::string::npos) << said[0] << "\nnot: " << part;
  };
  EXPECT_TRUE(warnings("dopri5", 1, at::kDouble).empty());
  expect_in(warnings("dopri5", 2000, at::kDouble),
            {"equation is stiff: in 1 of 1 integrations", "altprop has none", "steps-of=sample"});
  expect_in(warnings("dopri8", 1, at::kFloat),
            {"rounding errors of float32", "times its tolerance", "raise rtol or atol",
             "--dtype float64"});
  EXPECT_TRUE(warnings("dopri8", 1, at::kDouble).empty());
}

TEST(OdeCost, SizesOfMemoryAreRead) {
  EXPECT_EQ(bytes_of_text("2GB"), 2'000'000'000);
  EXPECT_EQ(bytes_of_text(" 1.5 kB "), 1500);
  EXPECT_EQ(bytes_of_text("1GiB"), 1 << 30);
  EXPECT_EQ(bytes_of_text("123"), 123);
  EXPECT_EQ(bytes_of_text(""), 0);
  for (const char* bad : {"much", "-1", "0", "2 XB", "1e30", "nan"})
    EXPECT_THROW(bytes_of_text(bad), UsageError) << bad;
}

}  // namespace
}  // namespace altprop::ode
