// Which axon reads what, in the networks of 5 and of 30 cores and in odd ones.
#include "altprop/cores/layout.h"

#include <gtest/gtest.h>

#include <set>

#include "altprop/cores/strengths.h"
#include "cores/support.h"
#include "network/check_op.h"

namespace altprop::cores::testing {
namespace {

int64_t synapses(const CoreLayout& layout) { return layout.outputs() * layout.axons_each(); }

/// Every output of a layer goes to one axon of the next.
void expect_one_destination_each(const CoreLayout& before, const CoreLayout& layout) {
  std::multiset<int64_t> read;
  for (const auto& axons : layout.axons) read.insert(axons.begin(), axons.end());
  EXPECT_EQ(static_cast<int64_t>(read.size()), before.outputs());
  for (int64_t i = 0; i < before.outputs(); ++i) EXPECT_EQ(read.count(i), 1u) << i;
}

TEST(CoreLayout, FiveCores) {
  const CoreLayout first = over_inputs({1, 28, 28}, {16, 12}, 64, {}),
                   last = over_cores(first, {}, 250, {});
  EXPECT_EQ(first.size(), 4);
  EXPECT_EQ(first.axons_each(), 256);
  EXPECT_EQ(first.outputs(), 256);
  EXPECT_EQ(last.size(), 1);
  EXPECT_EQ(last.axons_each(), 256);
  expect_one_destination_each(first, last);
  // Core 3 begins at row 12, column 12; its second row of axons is the next row of pixels.
  EXPECT_EQ(first.axons[3][0], 12 * 28 + 12);
  EXPECT_EQ(first.axons[3][16], 13 * 28 + 12);
  EXPECT_EQ(first.axons[3][255], 27 * 28 + 27);
}

TEST(CoreLayout, ThirtyCores) {
  const Window two{2, 1};
  std::vector<CoreLayout> layers = {over_inputs({1, 28, 28}, {16, 4}, 64, two)};
  layers.push_back(over_cores(layers[0], two, 64, two));
  layers.push_back(over_cores(layers[1], two, 64, {}));
  layers.push_back(over_cores(layers[2], {}, 250, {}));
  int64_t cores = 0, all = 0;
  for (const CoreLayout& layer : layers) {
    cores += layer.size();
    all += synapses(layer);
    EXPECT_EQ(layer.axons_each(), 256);
  }
  EXPECT_EQ(cores, 30);
  EXPECT_EQ(all, 981'504);
  for (size_t l = 1; l < layers.size(); ++l) expect_one_destination_each(layers[l - 1], layers[l]);
  EXPECT_EQ(layers[0].groups,
            (std::vector<int64_t>{1, 2, 2, 1, 2, 4, 4, 2, 2, 4, 4, 2, 1, 2, 2, 1}));
  EXPECT_EQ(layers[1].groups, (std::vector<int64_t>{1, 2, 1, 2, 4, 2, 1, 2, 1}));
  EXPECT_EQ(layers[0].neurons[5], 256);
  // A core reads a different group of each of its sources: two targets never share a neuron.
  EXPECT_EQ(layers[1].axons[1][0], layers[0].first_output(1) + 64) << "the second group of core 1";
}

TEST(CoreLayout, OfSeveralChannelsAndOfVectors) {
  const CoreLayout colours = over_inputs({3, 8, 10}, {8, 2}, 5, {});
  EXPECT_EQ(colours.size(), 2);
  EXPECT_EQ(colours.columns, 2);
  EXPECT_EQ(colours.axons_each(), 192);
  EXPECT_EQ(colours.axons[1][64], 80 + 2) << "the second channel, two columns on";
  const CoreLayout row = over_inputs({200}, {}, 3, {});
  EXPECT_EQ(row.size(), 1);
  EXPECT_EQ(row.axons_each(), 200);
}

TEST(CoreLayout, WhatNoCoreCanHoldIsRefused) {
  expect_refusal([] { over_inputs({1, 28, 28}, {}, 64, {}); }, "give a patch");
  expect_refusal([] { over_inputs({1, 28, 28}, {17, 1}, 64, {}); }, "at most 256");
  expect_refusal([] { over_inputs({3, 32, 32}, {16, 16}, 64, {}); }, "in 3 channels");
  expect_refusal([] { over_inputs({1, 8, 8}, {9, 1}, 64, {}); }, "does not fit");
  expect_refusal([] { over_inputs({300}, {}, 64, {}); }, "at most 256");
  expect_refusal([] { over_inputs({64}, {4, 1}, 64, {}); }, "leave patch out");
  expect_refusal([] { over_inputs({1, 28, 28}, {16, 4}, 65, {2, 1}); }, "core 5");
  expect_refusal([] { over_inputs({1, 28, 28}, {16, 4}, 64, {3, 3}); }, "no window");
  expect_refusal([] { over_inputs({16}, {}, 0, {}); }, "at least one neuron");
  const CoreLayout first = over_inputs({1, 28, 28}, {16, 4}, 64, {});
  expect_refusal([&] { over_cores(first, {2, 1}, 64, {}); }, "write next=2/1");
  expect_refusal([&] { over_cores(first, {}, 250, {}); }, "1024 axons");
  const CoreLayout pairs = over_inputs({1, 28, 28}, {16, 4}, 32, {2, 1});
  expect_refusal([&] { over_cores(pairs, {2, 2}, 64, {}); }, "groups of neurons");
  CoreLayout wrong = overlapping();
  wrong.axons[1][2] = 9;
  expect_refusal([&] { wrong.check(); }, "core 1, axon 2");
  wrong = overlapping();
  wrong.axons[1].pop_back();
  expect_refusal([&] { wrong.check(); }, "equally many");
  wrong = overlapping();
  wrong.neurons[0] = 257;
  expect_refusal([&] { wrong.check(); }, "core 0");
  wrong = overlapping();
  wrong.groups[0] = 3;
  expect_refusal([&] { wrong.check(); }, "equal groups");
  wrong = overlapping();
  wrong.rows = 3;
  expect_refusal([&] { wrong.check(); }, "grid");
}

TEST(Strengths, AreDealtEvenly) {
  const CoreLayout layout = over_inputs({1, 28, 28}, {16, 12}, 48, {});
  const Strengths drawn = draw_strengths(layout, StrengthKind::Permuted, Stream(4));
  for (int64_t core = 0; core < 4; ++core) {
    std::map<int64_t, int> types;
    for (int64_t i = 0; i < 256; ++i) ++types[drawn.types[core][i].item<int64_t>()];
    for (int64_t type = 0; type < 4; ++type) EXPECT_EQ(types[type], 64);
    std::map<std::vector<int>, int> tables;
    for (int64_t j = 0; j < 48; ++j) {
      std::vector<int> table(4);
      for (int64_t i = 0; i < 256; ++i)
        table[static_cast<size_t>(drawn.types[core][i].item<int64_t>())] =
            static_cast<int>(drawn.synapse[core * 48 + j][i].item<float>());
      for (int64_t i = 0; i < 256; ++i)
        EXPECT_EQ(
            drawn.synapse[core * 48 + j][i].item<float>(),
            static_cast<float>(table[static_cast<size_t>(drawn.types[core][i].item<int64_t>())]));
      ++tables[table];
      std::sort(table.begin(), table.end());
      EXPECT_EQ(table, (std::vector<int>{-2, -1, 1, 2}));
    }
    EXPECT_EQ(tables.size(), 24u);
    for (const auto& [table, times] : tables) EXPECT_EQ(times, 2);
  }
  EXPECT_FALSE(at::equal(drawn.types[0], drawn.types[1])) << "cores draw by themselves";
  const Strengths signs = draw_strengths(layout, StrengthKind::Signs, Stream(4));
  EXPECT_TRUE(at::equal(signs.synapse[5], (1 - at::arange(256).remainder(2) * 2).to(at::kFloat)));
}

}  // namespace
}  // namespace altprop::cores::testing
