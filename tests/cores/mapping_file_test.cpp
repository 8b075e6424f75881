// Mappings as files: what is written is read back, what is damaged is refused by its place, and the
// files of RANC's simulator hold the same network.
#include "altprop/cores/mapping_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "altprop/base/error.h"
#include "altprop/cores/engine.h"
#include "altprop/cores/member.h"
#include "altprop/network/architecture.h"
#include "altprop/network/init.h"
#include "cores/support.h"
#include "network/check_op.h"
#include "support/fuzz.h"

namespace altprop::cores::testing {
namespace {

Mapping drawn_mapping(const std::string& options = "", uint64_t seed = 1) {
  Graph net = network(
      "chain: cores 3 patch=4 stride=2 " + options + ", cores 6 " + options + ", class-sums 3",
      {.input_shape = {1, 6, 6}, .classes = 3});
  initialise(net, Initialiser("zero"), Stream(seed).at("init"));
  net.params()[1]->value.copy_(Stream(seed).uniform(-2, 2, {12}));
  return draw_member(mapping_of(net), 1, 0, LeakMode::Round);
}

void expect_same_mapping(const Mapping& a, const Mapping& b) {
  EXPECT_EQ(a.input_shape, b.input_shape);
  EXPECT_EQ(a.classes, b.classes);
  EXPECT_EQ(a.fire_on_zero, b.fire_on_zero);
  EXPECT_EQ(a.votes, b.votes);
  ASSERT_EQ(a.cores.size(), b.cores.size());
  for (size_t k = 0; k < a.cores.size(); ++k) {
    EXPECT_EQ(a.cores[k].axons, b.cores[k].axons);
    EXPECT_EQ(a.cores[k].types, b.cores[k].types);
    EXPECT_EQ(a.cores[k].strengths, b.cores[k].strengths);
    EXPECT_EQ(a.cores[k].leaks, b.cores[k].leaks);
    EXPECT_TRUE(at::equal(a.cores[k].connections, b.cores[k].connections));
  }
}

TEST(MappingFile, IsReadBackAsItWas) {
  for (const char* options : {"", "fire-on-zero=true"}) {
    Mapping mapping = drawn_mapping(options);
    mapping.cores[2].axons[5] = {};  // one that nothing comes to
    expect_same_mapping(read_mapping(mapping_text(mapping), "here"), mapping);
  }
}

TEST(MappingFile, OnlyDrawnNetworksAreWritten) {
  Mapping mapping = drawn_mapping();
  mapping.cores[0].connections[0][0] = 0.5;
  EXPECT_THROW(mapping_text(mapping), Error);
  EXPECT_THROW(ranc_files(mapping, {}), Error);
}

TEST(MappingFile, WhatIsDamagedIsRefusedByItsPlace) {
  const nlohmann::json right = nlohmann::json::parse(mapping_text(drawn_mapping()));
  using Json = nlohmann::json;
  for (const auto& [spoil, part] : std::vector<std::pair<std::function<void(Json&)>, std::string>>{
           {[](Json& j) { j["format"] = "other"; }, "format"},
           {[](Json& j) { j["version"] = 2; }, "version 1"},
           {[](Json& j) { j.erase("votes"); }, "'votes' is missing"},
           {[](Json& j) { j["fires"] = "never"; }, "above 0"},
           {[](Json& j) {
              j["input_shape"] = {1, -6, 6};
            },
            "input_shape"},
           {[](Json& j) {
              j["input_shape"] = {1 << 20, 1 << 20, 1 << 20};
            },
            "too many"},
           {[](Json& j) { j["classes"] = 2.5; }, "'classes' is no whole number"},
           {[](Json& j) { j["classes"] = uint64_t{1} << 63; }, "'classes'"},
           {[](Json& j) { j["cores"] = Json::array(); }, "'cores'"},
           {[](Json& j) { j["cores"][1] = 7; }, "core 1 is no object"},
           {[](Json& j) { j["cores"][1].erase("types"); }, "'types' of core 1 is missing"},
           {[](Json& j) {
              j["cores"][1]["axons"][0] = {1, 2, 3};
            },
            "an axon of core 1"},
           {[](Json& j) {
              j["cores"][1]["axons"][0] = {-1, -1};
            },
            "core 1"},
           {[](Json& j) {
              j["cores"][1]["axons"][0] = {-1, 36};
            },
            "core 1, axon 0"},
           {[](Json& j) { j["cores"][1]["types"][2] = 4; }, "core 1, axon 2"},
           {[](Json& j) {
              j["cores"][1]["strengths"][0] = {1, 2};
            },
            "of core 1"},
           {[](Json& j) { j["cores"][1]["strengths"][0][0] = 300; }, "core 1, neuron 0"},
           {[](Json& j) { j["cores"][1]["leaks"][2] = 256; }, "core 1, neuron 2"},
           {[](Json& j) { j["cores"][1]["leaks"][2] = 0.5; }, "a leak of core 1"},
           {[](Json& j) { j["cores"][1]["connections"][0] = "0101"; },
            "a row of connections of core 1"},
           {[](Json& j) { j["cores"][1]["connections"][0] = "010101010101012x"; }, "of core 1"},
           {[](Json& j) { j["cores"][1]["connections"].erase(0); }, "connections of core 1"},
           {[](Json& j) {
              j["votes"][0] = {4, 0};
            },
            "a vote is"},
           {[](Json& j) {
              j["votes"][0] = {4, 0, 3};
            },
            "class 3"},
           {[](Json& j) {
              j["votes"][0] = {9, 0, 0};
            },
            "core 9"},
           {[](Json& j) { j["votes"][1] = j["votes"][0]; }, "one destination"}}) {
    nlohmann::json wrong = right;
    spoil(wrong);
    try {
      read_mapping(wrong.dump(), "'file'");
      ADD_FAILURE() << "nothing was refused; expected: " << part;
    } catch (const std::runtime_error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      EXPECT_LT(std::string(error.what()).size(), 700u);
    }
  }
}

TEST(MappingFile, DamagedTextsAreRefusedOrConsistent) {
  fuzz::run({.name = "mapping of cores",
             .seeds = {mapping_text(drawn_mapping()),
                       mapping_text(drawn_mapping("fire-on-zero=true", 2))},
             .read =
                 [](const std::string& text) {
                   const Mapping mapping = read_mapping(text, "'file'");
                   validate(mapping);
                   EXPECT_TRUE(is_drawn(mapping));
                   const auto engine = make_engine(EngineKind::Popcount, mapping);
                   engine->add(mapping);
                   expect_same_mapping(read_mapping(mapping_text(mapping), "again"), mapping);
                 },
             .rounds = 600});
}

/// What RANC's cores do, by its sources (simulator/src/neuronblock.cpp, corecontroller.cpp), for a
/// stream of images, tick by tick.
std::vector<std::string> run_as_ranc(const nlohmann::json& input, int64_t ticks) {
  std::map<std::pair<int, int>, std::vector<int>> arriving, now;
  std::map<std::tuple<int, int, size_t>, int> potential;
  const std::pair<int, int> bus{input["output_bus"]["coordinates"][0],
                                input["output_bus"]["coordinates"][1]};
  std::vector<std::string> lines;
  for (int64_t tick = 0; tick < ticks; ++tick) {
    now = std::move(arriving);
    arriving.clear();
    if (tick < static_cast<int64_t>(input["packets"].size()))
      for (const auto& p : input["packets"][static_cast<size_t>(tick)])
        now[{p["destination_core"][0], p["destination_core"][1]}].push_back(p["destination_axon"]);
    std::string line(input["output_bus"]["num_outputs"].get<size_t>(), '0');
    for (const auto& core : input["cores"]) {
      const int x = core["coordinates"][0], y = core["coordinates"][1];
      for (size_t j = 0; j < core["neurons"].size(); ++j) {
        const auto& neuron = core["neurons"][j];
        int& v = potential[{x, y, j}];
        for (const int axon : now[{x, y}])
          if (core["connections"][j][static_cast<size_t>(axon)] == 1)
            v += neuron["weights"][core["axons"][static_cast<size_t>(axon)].get<size_t>()]
                     .get<int>();
        v += neuron["leak"].get<int>();
        if (v >= neuron["positive_threshold"].get<int>()) {
          const std::pair<int, int> to{x + neuron["destination_core_offset"][0].get<int>(),
                                       y + neuron["destination_core_offset"][1].get<int>()};
          const int axon = neuron["destination_axon"];
          if (to == bus) {
            line[static_cast<size_t>(axon)] = '1';
          } else {
            arriving[to].push_back(axon);
          }
          v = neuron["reset_potential"];
        } else if (v < neuron["negative_threshold"].get<int>()) {
          v = -neuron["reset_potential"].get<int>();
        }
      }
    }
    lines.push_back(line);
  }
  return lines;
}

TEST(RancFiles, CoresOfRancFireTheSameSpikes) {
  for (const char* options : {"", "fire-on-zero=true"}) {
    const Mapping mapping = drawn_mapping(options);
    std::vector<std::vector<int>> images;
    for (uint64_t b = 0; b < 12; ++b) {
      std::vector<int>& spikes = images.emplace_back();
      for (uint64_t i = 0; i < 36; ++i) spikes.push_back(Stream(b).uniform_at(i) < 0.4);
    }
    const RancFiles files = ranc_files(mapping, images);
    EXPECT_EQ(files.layers, 2);
    const auto lines = run_as_ranc(nlohmann::json::parse(files.input), 14);
    int fired = 0;
    for (size_t b = 0; b < images.size(); ++b) {
      const std::vector<int> votes = run_plainly(mapping, images[b]);
      EXPECT_EQ(lines[b + 1], spike_text(votes)) << "image " << b;
      fired += static_cast<int>(std::count(votes.begin(), votes.end(), 1));
    }
    EXPECT_GT(fired, 5);
    EXPECT_LT(fired, 12 * 6 - 5);
  }
}

TEST(RancFiles, CoresThatWouldNotMeetAreRefused) {
  Mapping mapping = drawn_mapping();
  mapping.cores[4].axons[3] = {-1, 0};
  mapping.cores[1].axons[2] = {};
  expect_refusal([&] { ranc_files(mapping, {}); }, "core 4, axon 3");
}

}  // namespace
}  // namespace altprop::cores::testing
