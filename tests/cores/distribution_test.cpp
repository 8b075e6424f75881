// The Gaussian against what really happens: the exact distribution of a core's sums, and draws.
#include <gtest/gtest.h>

#include "altprop/cores/deployment.h"
#include "altprop/cores/engine.h"
#include "altprop/cores/member.h"
#include "cores/support.h"
#include "network/check_op.h"

namespace altprop::cores::testing {
namespace {

/// One core of `axons` axons with whole leaks, its inputs and the exact chances that neurons fire.
struct ExactCore {
  Built built;
  Tensor x;
  std::vector<double> above_zero, at_least_zero;

  ExactCore(int64_t axons, int64_t neurons, CoreSettings settings, uint64_t seed)
      : built(single(axons, neurons), settings, seed),
        x(Stream(seed).at("x").uniform({1, axons}, at::kDouble)) {
    built.leaks() = Stream(seed).at("b").uniform(-2, 3, {neurons}, at::kDouble).floor();
    for (int64_t j = 0; j < neurons; ++j) {
      std::vector<double> p;
      std::vector<int> s;
      for (int64_t i = 0; i < axons; ++i) {
        p.push_back(x[0][i].item<double>() * built.connections()[j][i].item<double>());
        s.push_back(static_cast<int>(built.strengths()[j][i].item<double>()));
      }
      const auto law = distribution(p, s, static_cast<int>(built.leaks()[j].item<double>()));
      above_zero.push_back(above(law, 0));
      at_least_zero.push_back(above(law, -1));
    }
  }
};

/// Root mean square distance of the layer's output from the exact chances, over several cores.
double error_of(int64_t axons, Continuity continuity, bool at_zero) {
  double sum = 0, n = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const ExactCore core(axons, 32, {.continuity = continuity, .fire_on_zero = at_zero}, seed);
    const Tensor found = core.built(core.x);
    for (size_t j = 0; j < core.above_zero.size(); ++j, ++n)
      sum += std::pow(found[0][static_cast<int64_t>(j)].item<double>() -
                          (at_zero ? core.at_least_zero : core.above_zero)[j],
                      2);
  }
  return std::sqrt(sum / n);
}

/// Of few axons the Gaussian itself is off by an eighth of what the continuity takes away.
TEST(CoreDistribution, TheGaussianComesNearerWithMoreAxonsAndContinuityTenTimesNearer) {
  double before = 1;
  for (const int64_t axons : {16, 64, 256}) {
    const double plain = error_of(axons, Continuity::None, false);
    EXPECT_LT(plain, before) << axons;
    EXPECT_LT(plain, axons == 16 ? 0.1 : axons == 64 ? 0.05 : 0.025) << axons;
    for (const bool at_zero : {false, true})
      EXPECT_LT(error_of(axons, Continuity::Half, at_zero) * (axons == 16 ? 7 : 10), plain)
          << axons;
    before = plain;
  }
}

TEST(CoreDistribution, TheWorkedExamplesExactChances) {
  const std::vector<double> x = {.2, .7, .9, .5};
  const std::vector<std::vector<double>> c = {{.5, .6, .3, .8}, {.1, .9, .4, .25}};
  const std::vector<std::vector<int>> s = {{-2, 1, 2, -1}, {1, -1, 2, -2}};
  // Leaks of 0.5 and -0.25 put the bound at sums above -1 and above 0.
  for (const auto& [j, bound, exact] :
       std::vector<std::tuple<size_t, int, double>>{{0, -1, 0.768312}, {1, 0, 0.319477}}) {
    std::vector<double> p;
    for (size_t i = 0; i < 4; ++i) p.push_back(x[i] * c[j][i]);
    EXPECT_NEAR(above(distribution(p, s[j], 0), bound), exact, 5e-7);
  }
}

/// A network of one core, every neuron of which is a class of its own.
Mapping voting(const Built& built) {
  Graph net;
  const int64_t axons = built.layer->layout().inputs, neurons = built.layer->layout().outputs();
  const int in = net.input({.shape = {axons}, .kind = Kind::Probability});
  const int core = net.add(built.layer, {in}, "cores1");
  net.output(core);
  Mapping out{.input_shape = {axons}, .classes = neurons};
  MappedCore mapped;
  for (int64_t i = 0; i < axons; ++i) {
    mapped.axons.push_back({-1, i});
    mapped.types.push_back(static_cast<int>(built.layer->axon_types()[0][i].item<int64_t>()));
  }
  mapped.connections = built.layer->weight()->value.to(at::kFloat);
  for (int64_t j = 0; j < neurons; ++j) {
    std::array<int, 4> table{};
    for (int64_t i = 0; i < axons; ++i)
      table[static_cast<size_t>(mapped.types[static_cast<size_t>(i)])] =
          static_cast<int>(built.layer->strengths()[j][i].item<double>());
    mapped.strengths.push_back(table);
    mapped.leaks.push_back(built.layer->leaks()->value[j].item<double>());
    out.votes.push_back({0, j, j});
  }
  out.cores.push_back(mapped);
  validate(out);
  return out;
}

TEST(CoreDistribution, DrawsFireAsOftenAsTheExactDistributionSays) {
  const ExactCore core(12, 6, {}, 5);
  const Mapping mapping = voting(core.built);
  constexpr int64_t kBlocks = 150, kDraws = kBlocks * kMembersAtOnce;
  Tensor sum = at::zeros({1, 6}, at::kInt);
  const Tensor chance = chances(core.x, Encoding::Bernoulli, 0, 1), ids = at::zeros({1}, at::kLong);
  for (int64_t block = 0; block < kBlocks; ++block) {
    const auto engine = make_engine(EngineKind::Popcount, mapping);
    for (int64_t m = 0; m < kMembersAtOnce; ++m)
      engine->add(draw_member(mapping, 3, block * kMembersAtOnce + m, LeakMode::Round));
    Tensor counts = at::zeros({kMembersAtOnce, 1, 6}, at::kInt);
    engine->run(chance, ids, spike_key(3, block, 0), counts);
    sum.add_(counts.sum(0).to(at::kInt));
  }
  for (int64_t j = 0; j < 6; ++j) {
    const double p = core.above_zero[static_cast<size_t>(j)];
    const double found = static_cast<double>(sum[0][j].item<int32_t>()) / kDraws;
    EXPECT_NEAR(found, p, 4 * std::sqrt(p * (1 - p) / kDraws)) << j;
  }
}

/// One layer: the mean over members goes to the exact chance like 1 / sqrt(members).
TEST(CoreDistribution, EnsemblesComeNearerLikeOneOverTheRootOfTheirSize) {
  const ExactCore core(64, 200, {}, 6);
  const Mapping mapping = voting(core.built);
  const Tensor chance = chances(core.x, Encoding::Bernoulli, 0, 1), ids = at::zeros({1}, at::kLong);
  const Tensor exact = at::tensor(core.above_zero, at::kDouble);
  std::vector<double> error;
  for (const int64_t members : {16, 64, 256, 1024}) {
    Tensor sum = at::zeros({200}, at::kDouble);
    for (int64_t first = 0; first < members; first += kMembersAtOnce) {
      const int64_t n = std::min(kMembersAtOnce, members - first);
      const auto engine = make_engine(EngineKind::Popcount, mapping);
      for (int64_t m = 0; m < n; ++m)
        engine->add(draw_member(mapping, 4, first + m, LeakMode::Round));
      Tensor counts = at::zeros({n, 1, 200}, at::kInt);
      engine->run(chance, ids, spike_key(4, first / kMembersAtOnce, 0), counts);
      sum.add_(counts.sum(0).squeeze(0).to(at::kDouble));
    }
    error.push_back(
        (sum / static_cast<double>(members) - exact).square().mean().sqrt().item<double>());
    const double expected =
        (exact * (1 - exact) / static_cast<double>(members)).mean().sqrt().item<double>();
    EXPECT_NEAR(error.back() / expected, 1, 0.25) << members;
  }
  EXPECT_NEAR(error[0] / error[3], 8, 2.5);
}

TEST(CoreDistribution, StochasticLeaksAreRightOnTheMean) {
  Built built(single(4, 3));
  built.leaks() = at::tensor({0.25, -1.75, 3.0}, at::kDouble);
  const Mapping mapping = voting(built);
  constexpr int kMembers = 4000;
  std::array<double, 3> sum{};
  for (int m = 0; m < kMembers; ++m) {
    const Mapping drawn = draw_member(mapping, 9, m, LeakMode::Stochastic);
    ASSERT_TRUE(is_drawn(drawn));
    for (size_t j = 0; j < 3; ++j) sum[j] += drawn.cores[0].leaks[j];
  }
  for (size_t j = 0; j < 3; ++j) {
    const double leak = mapping.cores[0].leaks[j];
    EXPECT_NEAR(sum[j] / kMembers, leak, 4 * 0.5 / std::sqrt(kMembers)) << j;
  }
  EXPECT_EQ(sum[2], 3.0 * kMembers);
  const Mapping rounded = draw_member(mapping, 9, 0, LeakMode::Round);
  EXPECT_EQ(rounded.cores[0].leaks, (std::vector<double>{0, -2, 3}));
}

}  // namespace
}  // namespace altprop::cores::testing
