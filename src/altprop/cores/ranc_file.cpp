// The files of UA-RCL/RANC's simulator: cores stand on a grid, and a neuron sends its packets to a
// place relative to its own.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/cores/mapping_file.h"
#include "altprop/cores/member.h"

namespace altprop::cores {

namespace {

using nlohmann::json;

constexpr int64_t kMostColumns = 16;

struct RancPlace {
  int64_t x, y;
};

/// Where the packets of a neuron go.
struct RancDestination {
  int64_t core = -1, axon = -1;  ///< core: number of cores for the output bus; -1: nowhere
};

/// How many cores a spike crosses up to and with each; the same on all ways.
std::vector<int64_t> depths_of(const Mapping& mapping) {
  std::vector<int64_t> out;
  for (size_t k = 0; k < mapping.cores.size(); ++k) {
    int64_t depth = -1;
    for (size_t i = 0; i < mapping.cores[k].axons.size(); ++i) {
      const AxonSource& source = mapping.cores[k].axons[i];
      if (source.index < 0) continue;
      const int64_t here = source.core < 0 ? 1 : out[static_cast<size_t>(source.core)] + 1;
      if (depth >= 0 && here != depth)
        throw Refusal(text::cat("core ", k, ", axon ", i),
                      "its spikes take another number of ticks than those of the axons before it, "
                      "so that they would not meet",
                      "export layers of cores");
      depth = here;
    }
    out.push_back(std::max<int64_t>(depth, 1));
  }
  return out;
}

std::vector<std::vector<RancDestination>> destinations_of(const Mapping& mapping) {
  std::vector<std::vector<RancDestination>> out;
  for (const MappedCore& core : mapping.cores) out.emplace_back(core.strengths.size());
  for (size_t k = 0; k < mapping.cores.size(); ++k)
    for (size_t i = 0; i < mapping.cores[k].axons.size(); ++i)
      if (const AxonSource& source = mapping.cores[k].axons[i]; source.core >= 0)
        out[static_cast<size_t>(source.core)][static_cast<size_t>(source.index)] = {
            static_cast<int64_t>(k), static_cast<int64_t>(i)};
  for (size_t v = 0; v < mapping.votes.size(); ++v)
    out[static_cast<size_t>(mapping.votes[v].core)][static_cast<size_t>(mapping.votes[v].neuron)] =
        {static_cast<int64_t>(mapping.cores.size()), static_cast<int64_t>(v)};
  return out;
}

}  // namespace

RancFiles ranc_files(const Mapping& drawn, const std::vector<std::vector<int>>& images) {
  validate(drawn);
  expect_drawn(drawn, "a mapping is written with");
  const std::vector<int64_t> depths = depths_of(drawn);
  const int64_t places = static_cast<int64_t>(drawn.cores.size()) + 1,
                columns = std::min(kMostColumns, places), rows = (places + columns - 1) / columns;
  const auto place = [&](int64_t core) { return RancPlace{core % columns, core / columns}; };
  const auto destinations = destinations_of(drawn);
  const int64_t layers = depths[static_cast<size_t>(drawn.votes[0].core)];
  for (const Vote& vote : drawn.votes)
    if (depths[static_cast<size_t>(vote.core)] != layers)
      throw Refusal(
          text::cat("core ", vote.core),
          "it is counted in another tick than core " + std::to_string(drawn.votes[0].core),
          "export networks whose votes are in one layer");
  json cores = json::array();
  for (size_t k = 0; k < drawn.cores.size(); ++k) {
    const MappedCore& core = drawn.cores[k];
    const RancPlace here = place(static_cast<int64_t>(k));
    std::vector<int> types(kMostAxons, 0);
    std::copy(core.types.begin(), core.types.end(), types.begin());
    json neurons = json::array(), connections = json::array();
    const float* c = core.connections.const_data_ptr<float>();
    for (size_t j = 0; j < core.strengths.size(); ++j, c += core.axons.size()) {
      const RancDestination& to = destinations[k][j];
      if (to.core < 0) continue;  // nobody would see it
      const RancPlace there = place(to.core);
      neurons.push_back({{"reset_potential", 0},
                         {"weights", core.strengths[j]},
                         {"leak", std::llround(core.leaks[j])},
                         {"positive_threshold", drawn.fire_on_zero ? 0 : 1},
                         {"negative_threshold", 0},
                         {"destination_core_offset", {there.x - here.x, there.y - here.y}},
                         {"destination_axon", to.axon},
                         {"destination_tick", 0},
                         {"current_potential", 0},
                         {"reset_mode", 0}});
      std::vector<int> row(kMostAxons, 0);
      for (size_t i = 0; i < core.axons.size(); ++i) row[i] = c[i] > 0;
      connections.push_back(row);
    }
    cores.push_back({{"axons", types},
                     {"neurons", std::move(neurons)},
                     {"coordinates", {here.x, here.y}},
                     {"connections", std::move(connections)}});
  }
  json packets = json::array();
  for (const std::vector<int>& spikes : images) {
    json of_image = json::array();
    for (size_t k = 0; k < drawn.cores.size(); ++k)
      for (size_t i = 0; i < drawn.cores[k].axons.size(); ++i) {
        const AxonSource& source = drawn.cores[k].axons[i];
        if (source.core >= 0 || source.index < 0 || !spikes.at(static_cast<size_t>(source.index)))
          continue;
        const RancPlace there = place(static_cast<int64_t>(k));
        of_image.push_back({{"destination_core", {there.x, there.y}},
                            {"destination_axon", i},
                            {"destination_tick", 0}});
      }
    packets.push_back(std::move(of_image));
  }
  if (packets.empty()) packets.push_back(json::array());
  const RancPlace bus = place(places - 1);
  const json input{
      {"packets", std::move(packets)},
      {"output_bus", {{"coordinates", {bus.x, bus.y}}, {"num_outputs", drawn.votes.size()}}},
      {"cores", std::move(cores)}};
  const json config{{"num_neurons", kMostNeurons},
                    {"num_axons", kMostAxons},
                    {"num_cores_x", columns},
                    {"num_cores_y", rows},
                    {"num_weights", kAxonTypes},
                    {"max_tick_offset", 16},
                    {"neuron_block_trace_verbosity", 0},
                    {"core_controller_trace_verbosity", 0},
                    {"scheduler_trace_verbosity", 0},
                    {"neuron_reset_type", 0}};
  return {input.dump() + "\n", config.dump(2) + "\n", layers};
}

}  // namespace altprop::cores
