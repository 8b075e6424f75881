// Ensembles against the class sums of the trained network: a rest that stays and a spread that
// falls with the members.
#include "altprop/cores/ensemble_limit.h"

#include <gtest/gtest.h>

#include "altprop/cores/class_sums.h"
#include "altprop/cores/deployment.h"
#include "altprop/cores/member.h"
#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "altprop/probes/connections.h"
#include "altprop/train/deploy_run.h"
#include "cores/support.h"
#include "network/check_op.h"

namespace altprop::cores::testing {
namespace {

TEST(EnsembleLimit, IsFittedToWhatItIs) {
  std::vector<std::pair<int64_t, double>> distances;
  for (const int64_t m : {1, 4, 16, 64})
    distances.emplace_back(m, std::sqrt(0.3 * 0.3 + 2.0 * 2.0 / static_cast<double>(m)));
  const auto found = ensemble_limit(distances);
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->rest, 0.3, 1e-12);
  EXPECT_NEAR(found->spread, 2, 1e-12);
  // Where squares would be negative the other one alone is fitted.
  const auto none = ensemble_limit({{1, 2.0}, {4, 0.9}});
  EXPECT_EQ(none->rest, 0);
  EXPECT_NEAR(none->spread, std::sqrt((1 / 4.0 + 0.25 / 0.81) / (1 / 16.0 + 0.0625 / 0.6561)),
              1e-12);
  const auto same = ensemble_limit({{1, 0.5}, {4, 0.6}});
  EXPECT_EQ(same->spread, 0);
  EXPECT_GT(same->rest, 0.5);
  EXPECT_FALSE(ensemble_limit({{4, 0.5}}));
  EXPECT_FALSE(ensemble_limit({}));
  EXPECT_FALSE(ensemble_limit({{1, 0.0}, {4, 0.0}})) << "nothing is drawn";
}

/// A network of cores on 60 images of 8 x 8, and how far its ensembles are from it.
struct Ensembles {
  Graph net;
  Tensor images = Stream(11).uniform({60, 1, 8, 8});

  explicit Ensembles(const std::string& text)
      : net(network(text, {.input_shape = {1, 8, 8}, .classes = 5})) {
    initialise(net, Initialiser("zero"), Stream(3).at("init"));
  }
  Deployed deployed(DeploySettings settings) const {
    const Tensor ids = at::arange(60, at::kLong);
    return deploy(mapping_of(net), images, ids, ids.remainder(5), settings, {},
                  network_sums(net, images, settings.encoding(), settings.ticks));
  }
};

TEST(EnsembleLimit, OfOneLayerNothingIsLeft) {
  const DeploySettings settings{.members = "1,4,16,64", .draws = 20};
  const Deployed one =
      Ensembles("chain: cores 50 continuity=half, class-sums *").deployed(settings);
  ASSERT_TRUE(one.limit());
  EXPECT_LT(one.limit()->rest, 0.06 * one.limit()->spread) << one.table();
  for (const EnsembleScore& score : one.scores)
    EXPECT_NEAR(score.rms_distance() * std::sqrt(static_cast<double>(score.members)),
                one.limit()->spread, 0.1 * one.limit()->spread);
}

/// All hidden neurons see one spike alone, so that they fire together or not at all: an output
/// neuron fires half of the time if what they add up to is positive, and the network, which takes
/// them as independent, knows nothing of that.
TEST(EnsembleLimit, OfTwoLayersWhatIndependenceMissesStays) {
  Ensembles e("chain: cores 64 continuity=half, cores 50 continuity=half, class-sums *");
  e.images.fill_(0.5);
  e.net.params()[0]->value.zero_().select(1, 0).fill_(1);
  e.net.params()[2]->value.fill_(1);
  const Deployed found = e.deployed({.members = "1,4,16,64", .draws = 20});
  const Tensor expected = network_sums(e.net, e.images, Encoding::Bernoulli, 1)[0];
  Tensor together = at::zeros({5}, at::kDouble);  // by the definition, half of a neuron's spikes
  const Mapping mapping = draw_member(mapping_of(e.net), 1, 0, LeakMode::Round);
  std::vector<int> bright(64, 1);
  const std::vector<int> votes = run_plainly(mapping, bright);
  for (size_t v = 0; v < votes.size(); ++v)
    together[mapping.votes[v].of_class] += 0.5 * votes[v];
  const double rest = (together - expected).square().mean().sqrt().item<double>();
  EXPECT_GT(rest, 0.5);
  EXPECT_NEAR(found.limit()->rest, rest, 0.15 * rest) << found.table();
}

/// What the network is asked is what the encoding makes of the images.
TEST(EnsembleLimit, WhereNothingIsDrawnTheNetworkIsTheEnsemble) {
  const std::string deterministic = "synapse=deterministic fire-on-zero=true";
  const Ensembles e("chain: cores 64 " + deterministic + ", cores 50 " + deterministic +
                    ", class-sums *");
  for (const char* input : {"threshold", "rate", "burst", "time"}) {
    const Deployed found =
        e.deployed({.members = "1,3", .draws = 2, .ticks = 3, .input = input});
    for (const EnsembleScore& score : found.scores) EXPECT_LT(score.rms_distance(), 1e-6) << input;
  }
  const Deployed drawn = e.deployed({.members = "1,3", .draws = 2, .ticks = 3});
  EXPECT_GT(drawn.scores[0].rms_distance(), 0.1) << "what is drawn differs from tick to tick";
}

TEST(EnsembleLimit, IsInTableAndRecord) {
  const Ensembles e("chain: cores 50, class-sums *");
  DeploySettings settings{.members = "1,4", .draws = 3, .core_power = 82e-6};
  const Deployed found = e.deployed(settings);
  EXPECT_NEAR(found.scores[1].energy, 4 * 82e-6 * 1e-3, 1e-15);
  const std::string table = found.table();
  for (const char* part :
       {"distance", "sqrt(a^2 + b^2 / members)", "at 82 uW a core", "63 to 82 uW"})
    EXPECT_NE(table.find(part), std::string::npos) << table;
  const nlohmann::json record = found.json();
  EXPECT_EQ(record["limit"]["rest"], found.limit()->rest);
  EXPECT_EQ(record["ensembles"][1]["rms_distance"], found.scores[1].rms_distance());
  EXPECT_EQ(record["core_power"], 82e-6);
  // Of cores in a file no network is known.
  const Tensor ids = at::arange(60, at::kLong);
  const Deployed alone = deploy(mapping_of(e.net), e.images, ids, ids.remainder(5), settings);
  EXPECT_FALSE(alone.limit());
  EXPECT_FALSE(alone.json().contains("limit"));
  EXPECT_EQ(alone.table().find("distance"), std::string::npos);
  EXPECT_EQ(alone.scores[1].accuracy, found.scores[1].accuracy);
}

TEST(Connections, TellByLayerHowDecidedTheyAre) {
  Graph net = network("chain: cores 6 patch=4 stride=2, cores 70, class-sums 7",
                      {.input_shape = {1, 6, 6}, .classes = 7});
  for (const ParamPtr& param : net.params()) param->value.fill_(0.25);
  const Tensor flat = net.params()[0]->value.view({-1});
  flat.narrow(0, 0, flat.size(0) / 2).fill_(0.95);
  const std::vector<ConnectionRow> rows = connections(net);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].name, "cores1");
  EXPECT_NEAR(rows[0].distance, 0.15, 1e-6);
  EXPECT_NEAR(rows[0].half_way, 0.5, 1e-12);
  EXPECT_NEAR(rows[1].distance, 0.25, 1e-6);
  EXPECT_EQ(rows[1].half_way, 1);
  const double n = static_cast<double>(flat.size(0)),
               all = n + static_cast<double>(net.params()[2]->value.numel());
  EXPECT_NEAR(all_connections(rows).half_way, 1 - 0.5 * n / all, 1e-12);
  EXPECT_TRUE(connections(network("mlp:4-3-2")).empty());
}

}  // namespace
}  // namespace altprop::cores::testing
