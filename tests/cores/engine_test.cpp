// Engines against the plainest way to run cores, spike by spike; and that draws belong to members,
// ticks and images alone.
#include "altprop/cores/engine.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/cores/deployment.h"
#include "altprop/cores/member.h"
#include "altprop/cores/popcount_engine.h"
#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "cores/support.h"
#include "network/check_op.h"
#include "support/special_values.h"

namespace altprop::cores::testing {
namespace {

/// With every set of instructions that the loops are compiled for.
class CoreEngines : public test::UnderSwitches {};
class CoreSpikes : public test::UnderSwitches {};
INSTANTIATE_TEST_SUITE_P(Under, CoreEngines, ::testing::ValuesIn(test::all_switches()),
                         test::name_of_switches);
INSTANTIATE_TEST_SUITE_P(Under, CoreSpikes, ::testing::ValuesIn(test::all_switches()),
                         test::name_of_switches);

/// Two layers over an image of 6 x 6 in patches of 4, with a sum for each of three classes.
Mapping some_mapping(const std::string& options = "", uint64_t seed = 1) {
  Graph net = network(
      "chain: cores 6 patch=4 stride=2 " + options + ", cores 70 " + options + ", class-sums 7",
      {.input_shape = {1, 6, 6}, .classes = 7});
  initialise(net, Initialiser("zero"), Stream(seed).at("init"));
  for (const ParamPtr& param : net.params())
    if (param->value.dim() == 1)
      param->value.copy_(Stream(seed).at(param->name).uniform(-2, 2, param->value.sizes()));
  return mapping_of(net);
}

Tensor some_images(int64_t n, const Mapping& mapping) {
  Tensor x = Stream(11).uniform({n, mapping.inputs()});
  x.masked_fill_(x.lt(0.2), 0).masked_fill_(x.gt(0.8), 1);
  return x;
}

struct Spikes {
  Tensor counts, votes;
};

Spikes run(EngineKind kind, const Mapping& mapping, int64_t members, const Tensor& x,
           const Tensor& ids, int64_t block = 0) {
  const auto engine = make_engine(kind, mapping);
  for (int64_t m = 0; m < members; ++m)
    engine->add(draw_member(mapping, 5, block * kMembersAtOnce + m, LeakMode::Stochastic));
  Spikes out{
      at::zeros({members, x.size(0), mapping.classes}, at::kInt),
      at::zeros({members, x.size(0), static_cast<int64_t>(mapping.votes.size())}, at::kByte)};
  engine->run(chances(x, Encoding::Bernoulli, 0, 1), ids, spike_key(5, block, 0), out.counts,
              &out.votes);
  return out;
}

TEST_P(CoreEngines, AllGiveTheSpikesOfThePlainestWay) {
  // Cores of 4 axon types in words that are not full; many and few axons of a type; both edges.
  for (const char* options : {"", "fire-on-zero=true", "strengths=signs"}) {
    const Mapping mapping = some_mapping(options);
    const Tensor x = some_images(37, mapping), ids = at::arange(100, 137, at::kLong);
    const Spikes fast = run(EngineKind::Popcount, mapping, 5, x, ids),
                 plain = run(EngineKind::Float, mapping, 5, x, ids);
    EXPECT_TRUE(at::equal(fast.votes, plain.votes)) << options;
    EXPECT_TRUE(at::equal(fast.counts, plain.counts)) << options;
    const Tensor chance = chances(x, Encoding::Bernoulli, 0, 1);
    int64_t fired = 0;
    for (int64_t m = 0; m < 5; ++m) {
      const Mapping drawn = draw_member(mapping, 5, m, LeakMode::Stochastic);
      for (int64_t b = 0; b < 37; ++b) {
        std::vector<int> spikes;
        for (int64_t i = 0; i < mapping.inputs(); ++i)
          spikes.push_back(
              spike_written_out(spike_key(5, 0, 0), 100 + b, i, chance[b][i].item<int32_t>(), m));
        const std::vector<int> votes = run_plainly(drawn, spikes);
        std::vector<int32_t> counts(7, 0);
        for (size_t v = 0; v < votes.size(); ++v) {
          ASSERT_EQ(fast.votes[m][b][static_cast<int64_t>(v)].item<int>(), votes[v]);
          counts[v % 7] += votes[v];
          fired += votes[v];
        }
        for (int64_t k = 0; k < 7; ++k)
          ASSERT_EQ(fast.counts[m][b][k].item<int32_t>(), counts[static_cast<size_t>(k)]);
      }
    }
    EXPECT_GT(fired, 37 * 5 * 10) << "spikes there are";
    EXPECT_LT(fired, 37 * 5 * 60);
  }
}

TEST_P(CoreEngines, FullCoresGiveTheSameSpikes) {
  Graph net = network("truenorth:5", {.input_shape = {1, 28, 28}, .classes = 10});
  initialise(net, Initialiser("zero"), Stream(2).at("init"));
  const Mapping mapping = mapping_of(net);
  const Tensor x = some_images(20, mapping), ids = at::arange(20, at::kLong);
  const Spikes fast = run(EngineKind::Popcount, mapping, 64, x, ids, 3),
               plain = run(EngineKind::Float, mapping, 64, x, ids, 3);
  EXPECT_TRUE(at::equal(fast.votes, plain.votes));
  EXPECT_TRUE(at::equal(fast.counts, plain.counts));
}

TEST(CoreDraws, DrawsBelongToMemberTickAndImage) {
  const Mapping mapping = some_mapping();
  const Tensor x = some_images(40, mapping), ids = at::arange(40, at::kLong);
  const Tensor whole = run(EngineKind::Popcount, mapping, 6, x, ids).votes;
  const Tensor few = run(EngineKind::Popcount, mapping, 2, x, ids).votes;
  EXPECT_TRUE(at::equal(few, whole.narrow(0, 0, 2))) << "other members change nothing";
  const Tensor order = Stream(2).permutation(40);
  const Tensor moved = run(EngineKind::Popcount, mapping, 6, x.index_select(0, order), order).votes;
  EXPECT_TRUE(at::equal(moved, whole.index_select(1, order))) << "nor do other images";
  const int threads = at::get_num_threads();
  at::set_num_threads(threads == 1 ? 2 : 1);
  EXPECT_TRUE(at::equal(run(EngineKind::Popcount, mapping, 6, x, ids).votes, whole));
  at::set_num_threads(threads);
  EXPECT_FALSE(at::equal(run(EngineKind::Popcount, mapping, 6, x, ids + 40).votes, whole));
  EXPECT_FALSE(at::equal(run(EngineKind::Popcount, mapping, 6, x, ids, 1).votes, whole));
}

/// The key alone differs: the members that see the spikes are the same.
TEST(CoreDraws, SpikesBelongToSeedBlockAndTick) {
  const Mapping mapping = some_mapping();
  const Tensor chance = chances(some_images(40, mapping), Encoding::Bernoulli, 0, 1),
               ids = at::arange(40, at::kLong);
  const auto engine = make_engine(EngineKind::Popcount, mapping);
  engine->add(draw_member(mapping, 5, 0, LeakMode::Round));
  const auto votes = [&](uint64_t seed, int64_t block, int64_t tick) {
    Tensor counts = at::zeros({1, 40, mapping.classes}, at::kInt),
           out = at::zeros({1, 40, static_cast<int64_t>(mapping.votes.size())}, at::kByte);
    engine->run(chance, ids, spike_key(seed, block, tick), counts, &out);
    return out;
  };
  const Tensor first = votes(5, 0, 0);
  EXPECT_TRUE(at::equal(votes(5, 0, 0), first));
  EXPECT_FALSE(at::equal(votes(5, 0, 1), first)) << "tick";
  EXPECT_FALSE(at::equal(votes(5, 1, 0), first)) << "block of members";
  EXPECT_FALSE(at::equal(votes(6, 0, 0), first)) << "seed";
  EXPECT_FALSE(at::equal(votes(5, 0, 1), votes(5, 1, 0))) << "tick and block are not added up";
}

TEST_P(CoreSpikes, BlocksOfMembersAreWhatIsWrittenOutBitByBit) {
  const int64_t inputs = 21;
  std::vector<int32_t> chance;
  for (int64_t i = 0; i < inputs; ++i)
    chance.push_back(std::array<int32_t, 7>{0, kCertain, 1, 65535, 32768, 12345, 257}[i % 7]);
  for (const uint64_t key : {spike_key(1, 0, 0), spike_key(1, 2, 3)})
    for (const int64_t image : {int64_t{0}, int64_t{9999}, int64_t{1} << 40}) {
      std::vector<uint64_t> words(inputs);
      draw_spikes(key, image, chance.data(), inputs, words.data());
      for (int64_t i = 0; i < inputs; ++i)
        for (int64_t m = 0; m < 64; ++m)
          ASSERT_EQ(words[static_cast<size_t>(i)] >> m & 1,
                    spike_written_out(key, image, i, chance[static_cast<size_t>(i)], m))
              << i << " " << m;
    }
}

TEST(CoreChances, ComeAsOftenAsTheirChanceSays) {
  const std::vector<int32_t> chance = {16, 6554, 32768, 60000};
  constexpr int64_t kImages = 4000;
  std::vector<double> sum(4, 0);
  std::vector<uint64_t> words(4);
  for (int64_t image = 0; image < kImages; ++image) {
    draw_spikes(spike_key(8, 0, 0), image, chance.data(), 4, words.data());
    for (size_t i = 0; i < 4; ++i) sum[i] += std::popcount(words[i]);
  }
  const double n = kImages * 64.0;
  for (size_t i = 0; i < 4; ++i) {
    const double p = chance[i] / 65536.0;
    EXPECT_NEAR(sum[i] / n, p, 4 * std::sqrt(p * (1 - p) / n)) << i;
  }
}

TEST(CoreChances, Encodings) {
  const Tensor v = at::tensor({0.0, 0.2, 0.5, 0.51, 1.0}, at::kDouble);
  constexpr int64_t kTicks = 5;
  const auto spikes = [&](Encoding encoding) {
    std::vector<Tensor> out;
    for (int64_t t = 0; t < kTicks; ++t) out.push_back(chances(v, encoding, t, kTicks) / kCertain);
    return at::stack(out, 1);  // [values, ticks]
  };
  const auto expect = [&](Encoding encoding, std::vector<std::vector<int>> rows) {
    const Tensor found = spikes(encoding);
    for (size_t i = 0; i < rows.size(); ++i)
      for (size_t t = 0; t < rows[i].size(); ++t)
        EXPECT_EQ(found[static_cast<int64_t>(i)][static_cast<int64_t>(t)].item<int>(), rows[i][t])
            << encoding_names()[static_cast<size_t>(encoding)] << " " << i << " " << t;
  };
  const std::vector<int> none(5, 0), all(5, 1);
  expect(Encoding::Threshold, {none, none, none, all, all});
  expect(Encoding::Rate, {none, {0, 0, 0, 0, 1}, {0, 0, 1, 0, 1}, {0, 1, 0, 1, 1}, all});
  expect(Encoding::Burst, {none, {1, 0, 0, 0, 0}, {1, 1, 0, 0, 0}, {1, 1, 1, 0, 0}, all});
  expect(Encoding::Time,
         {none, {0, 0, 0, 1, 0}, {0, 0, 1, 0, 0}, {0, 0, 1, 0, 0}, {1, 0, 0, 0, 0}});
  for (const double wrong : {-0.1, 1.5, double(NAN)})
    expect_refusal([&] { chances(at::tensor({wrong}, at::kDouble), Encoding::Rate, 0, 1); },
                   "scale the data to [0, 1]");
}

TEST_P(CoreEngines, SquaresOfBitsAreTurned) {
  std::vector<uint64_t> words(64), turned;
  for (size_t i = 0; i < 64; ++i) words[i] = Stream(3).bits(i);
  turned = words;
  transpose_bits(turned.data());
  for (size_t i = 0; i < 64; ++i)
    for (size_t j = 0; j < 64; ++j) ASSERT_EQ(turned[i] >> j & 1, words[j] >> i & 1);
}

TEST(CoreDraws, MembersHaveToBeDrawnAndAreAtMostSixtyFour) {
  const Mapping mapping = some_mapping();
  const auto engine = make_engine(EngineKind::Popcount, mapping);
  EXPECT_THROW(engine->add(mapping), Error);
  const Mapping drawn = draw_member(mapping, 1, 0, LeakMode::Round);
  for (int m = 0; m < 64; ++m) engine->add(drawn);
  EXPECT_THROW(engine->add(drawn), Error);
}

TEST(Deployment, DoesNotDependOnEngineThreadsOrOtherSizes) {
  const Mapping mapping = some_mapping();
  const Tensor x = some_images(60, mapping), ids = at::arange(60, at::kLong), y = ids.remainder(7);
  DeploySettings settings{.members = "1,3,40", .draws = 3, .ticks = 2};
  const Deployed found = deploy(mapping, x, ids, y, settings);
  ASSERT_EQ(found.scores.size(), 3u);
  for (const EnsembleScore& score : found.scores) EXPECT_EQ(score.accuracy.size(), 3u);
  settings.engine = "float";
  EXPECT_EQ(deploy(mapping, x, ids, y, settings).json(), found.json());
  settings.engine = "auto";
  // A draw's ensemble of three is what three members by hand count.
  Tensor sum = at::zeros({60, 7}, at::kInt);
  for (int64_t m = 40; m < 43; ++m)
    for (int64_t tick = 0; tick < 2; ++tick) {
      const auto engine = make_engine(EngineKind::Float, mapping);
      Tensor counts = at::zeros({64, 60, 7}, at::kInt);
      for (int64_t k = 0; k < 64; ++k) engine->add(draw_member(mapping, 7, k, LeakMode::Round));
      engine->run(chances(x, Encoding::Bernoulli, tick, 2), ids, spike_key(7, 0, tick), counts);
      sum.add_(counts[m]);
    }
  EXPECT_EQ(decisions(sum).eq(y).to(at::kDouble).mean().item<double>(),
            found.scores[1].accuracy[1]);
  settings.seed = 8;
  EXPECT_NE(deploy(mapping, x, ids, y, settings).json(), found.json());
  EXPECT_NEAR(found.scores[2].energy, 5 * 40 * 2 * 63e-6 * 1e-3, 1e-15);
  EXPECT_EQ(found.cores, 5);
}

TEST(Deployment, OfEqualScoresTheLowestClassWins) {
  const Tensor counts = at::tensor({3, 5, 5, 0, 0, 0, 1, 2, 2}, at::kInt).view({3, 3});
  EXPECT_TRUE(at::equal(decisions(counts), at::tensor({1, 0, 1}, at::kLong)));
}

TEST(Deployment, RefusesWhatDoesNotFit) {
  const Mapping mapping = some_mapping();
  const Tensor x = some_images(4, mapping), ids = at::arange(4, at::kLong), y = ids.remainder(7);
  expect_refusal([&] { deploy(mapping, x.narrow(1, 0, 9), ids, y, {}); }, "36 values");
  expect_refusal([&] { deploy(mapping, x, ids, y + 5, {}); }, "classes from 5 to 8");
  expect_refusal([&] { deploy(mapping, x * 2, ids, y, {}); }, "scale the data to [0, 1]");
  expect_refusal([&] { deploy(mapping, x.narrow(0, 0, 0), ids, y, {}); }, "no images");
  expect_refusal([&] { deploy(mapping, x, ids.narrow(0, 0, 3), y, {}); }, "a number and a class");
  for (const char* wrong : {"", "0", "1,x", "1,-2", "2.5", "1000000000000"})
    expect_refusal(
        [&] {
          DeploySettings settings;
          Options options("deploy");
          settings.declare(options);
          options.set("members", wrong);
        },
        "1,4,16,64");
}

}  // namespace
}  // namespace altprop::cores::testing
