// What the units of networks of spike times do: who fires, when the answer is there, and how many
// synaptic operations event-driven hardware would make, against counts written out.
#include "altprop/probes/firing.h"

#include <gtest/gtest.h>

#include "altprop/network/architecture.h"
#include "altprop/spiking/coding.h"
#include "altprop/spiking/constant_slope.h"
#include "altprop/spiking/event.h"
#include "altprop/spiking/window.h"
#include "spiking/support.h"

namespace altprop::spiking::testing {
namespace {

TEST(Firing, IsCounted) {
  Graph net = chain_of({2}, {[] {
                         EventSettings s{.out = 3};
                         return std::make_shared<Event>(s);
                       }()});
  net.params()[0]->value.copy_(table({2, 0, -1, -1, 0, 1}, {3, 2}));
  // Unit 0 fires half a time unit behind input 0, unit 1 never, unit 2 one behind input 1.
  const Tensor t = table({0, 0.25, 0, INFINITY, INFINITY, 1}, {3, 2});
  const std::vector<FiringRow> rows = firing(net, t);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].units, 3);
  EXPECT_NEAR(rows[0].spikes, (2 + 1 + 1) / 3.0, 1e-12);
  EXPECT_NEAR(rows[0].silent, 5 / 9.0, 1e-12);
  EXPECT_NEAR(rows[0].dead, 1 / 3.0, 1e-12);
  // Times 0.5, 1.25, 0.5, 2, of which the median is the lower middle one.
  EXPECT_NEAR(rows[0].median, 0.5, 1e-12);
  // Sample 0: both before units 0 (0.5) and 2 (1.25), and unit 1 saw both; samples 1 and 2: one
  // each.
  EXPECT_NEAR(rows[0].events, (6 + 3 + 3) / 3.0, 1e-12);
  EXPECT_NEAR(rows[0].events_deviation, std::sqrt((4 + 1 + 1) / 2.0), 1e-12);
  const Anytime decided = anytime_accuracy(net, t, at::tensor({0, 2, 2}, at::kLong), 2);
  ASSERT_EQ(decided.times.size(), 2u);
  EXPECT_NEAR(decided.times[1], 2, 1e-12);
  EXPECT_NEAR(decided.accuracy[0], 1 / 3.0, 1e-12);
  EXPECT_NEAR(decided.accuracy[1], 2 / 3.0, 1e-12);
  EXPECT_TRUE(firing(network("mlp:4-3-2"), at::zeros({2, 4})).empty());
  EXPECT_TRUE(anytime_accuracy(network("mlp:4-3-2"), at::zeros({2, 4}), at::zeros({2}, at::kLong))
                  .times.empty());
}

/// Of one layer on times, and the times that it makes.
struct Counted {
  FiringRow row;
  Tensor out;
};

Counted counted(Graph& net, const Tensor& t) {
  const std::vector<FiringRow> rows = firing(net, t);
  EXPECT_EQ(rows.size(), 1u);
  return {rows.at(0), net.predict(t)};
}

void expect_events(const FiringRow& row, const std::vector<int64_t>& by_sample) {
  const Tensor expected = at::tensor(by_sample, at::kLong).to(at::kDouble);
  EXPECT_GT(expected.min().item<double>(), 0);
  EXPECT_NEAR(row.events, expected.mean().item<double>(), 1e-9);
  EXPECT_NEAR(row.events_deviation, expected.std().item<double>(), 1e-9);
}

/// Spikes of a sample that come before each unit fires, one by one. @param delays [out, in] or none
std::vector<int64_t> before_the_units(const Tensor& t, const Tensor& out, const Tensor& delays) {
  std::vector<int64_t> counts;
  for (int64_t b = 0; b < t.size(0); ++b) {
    int64_t n = 0;
    for (int64_t j = 0; j < out.size(1); ++j)
      for (int64_t i = 0; i < t.size(1); ++i) {
        const double delay = delays.defined() ? delays[j][i].item<double>() : 0;
        n += t[b][i].item<double>() + delay < out[b][j].item<double>();
      }
    counts.push_back(n);
  }
  return counts;
}

TEST(Firing, SynapticOperationsOfEventsAreTheSpikesBeforeAUnitsOwn) {
  const Tensor t = some_times(3, 5, 8, 1, 0.3),
               delays = Stream(8).uniform(0, 0.6, {6, 8}, at::kDouble);
  for (const bool delayed : {false, true}) {
    const EventSettings settings{.out = 6, .delays = delayed};
    Graph net = chain_of({8}, {std::make_shared<Event>(settings)});
    net.params()[0]->value.copy_(some_weights(4, 6, 8, 0.4, 0.6));
    if (delayed) net.params()[1]->value.copy_(delays);
    const Counted found = counted(net, t);
    expect_events(found.row, before_the_units(t, found.out, delayed ? delays : Tensor()));
    if (delayed) {
      EXPECT_NE(before_the_units(t, found.out, {}), before_the_units(t, found.out, delays))
          << "delays make a difference";
    }
  }
}

/// Sums over the positions of a kernel of 3 x 3 with stride 2 and a border of 1 on [B, C, 5, 5].
template <class Counts>
std::vector<int64_t> over_windows(const Tensor& t, int64_t out, Counts&& counts) {
  std::vector<int64_t> by_sample;
  for (int64_t b = 0; b < t.size(0); ++b) {
    int64_t n = 0;
    for (int64_t j = 0; j < out; ++j)
      for (int64_t y = 0; y < 3; ++y)
        for (int64_t x = 0; x < 3; ++x)
          for (int64_t c = 0; c < t.size(1); ++c)
            for (int64_t v = 2 * y - 1; v <= 2 * y + 1; ++v)
              for (int64_t u = 2 * x - 1; u <= 2 * x + 1; ++u)
                if (v >= 0 && v < 5 && u >= 0 && u < 5)
                  n += counts(b, j, y, x, t[b][c][v][u].item<double>());
    by_sample.push_back(n);
  }
  return by_sample;
}

TEST(Firing, OfConvolutionsEveryPositionHasItsOwn) {
  const Kernel kernel{.height = 3, .stride = 2, .padding = 1};
  const Tensor t = some_times(3, 4, 50, 1, 0.3).view({4, 2, 5, 5});
  const Tensor w = some_weights(4, 3, 18, 0.2, 0.4).view({3, 2, 3, 3});
  const EventSettings of_events{.out = 3, .kernel = kernel};
  Graph events = chain_of({2, 5, 5}, {std::make_shared<Event>(of_events)});
  events.params()[0]->value.copy_(w);
  const Counted found = counted(events, t);
  const auto before = [&](int64_t b, int64_t j, int64_t y, int64_t x, double time) {
    return time < found.out[b][j][y][x].item<double>();
  };
  expect_events(found.row, over_windows(t, 3, before));
  const WindowSettings of_windows{.out = 3, .kernel = kernel};
  Graph window = chain_of({2, 5, 5}, {std::make_shared<Window>(of_windows)});
  window.params()[0]->value.copy_(w);
  const auto ever = [](int64_t, int64_t, int64_t, int64_t, double time) {
    return std::isfinite(time);
  };
  expect_events(counted(window, t).row, over_windows(t, 3, ever));
}

TEST(Firing, WhereLayersHaveWindowsOfTheirOwnAllSpikesHaveCome) {
  const Tensor t = some_times(3, 5, 8, 1, 0.3);
  std::vector<int64_t> all;
  for (int64_t b = 0; b < 5; ++b) all.push_back(6 * t[b].isfinite().sum().item<int64_t>());
  const ConstantSlopeSettings constant{.out = 6}, readout{.out = 6, .readout = true};
  for (const OpPtr& layer :
       {OpPtr(std::make_shared<Window>(WindowSettings{.out = 6})), membrane(6, 1),
        OpPtr(std::make_shared<ConstantSlope>(constant)),
        OpPtr(std::make_shared<ConstantSlope>(readout))}) {
    SCOPED_TRACE(layer->type());
    Graph net = chain_of({8}, {layer});
    net.params()[0]->value.copy_(some_weights(4, 6, 8, 0.4, 0.6));
    const Counted found = counted(net, t);
    expect_events(found.row, all);
    const bool fires = net.node(net.output_node()).spec.kind == Kind::SpikeTime;
    EXPECT_EQ(std::isnan(found.row.spikes), !fires) << "potentials that are read are no spikes";
    EXPECT_EQ(std::isnan(found.row.silent), !fires);
    EXPECT_EQ(found.row.units, 6);
  }
}

TEST(Firing, CodesAndPoolsHaveNoSynapses) {
  Graph net = network("chain: latency, earliest-pool 2, relpsp-window 5, membrane *",
                      {.input_shape = {1, 4, 4}, .classes = 3});
  const std::vector<FiringRow> rows = firing(net, Stream(2).uniform({6, 1, 4, 4}));
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].events, 0);
  EXPECT_EQ(rows[1].events, 0);
  EXPECT_GT(rows[2].events, 0);
  EXPECT_NEAR(rows[3].events, 3 * rows[2].spikes, 1e-9) << "each spike reaches three units";
}

}  // namespace
}  // namespace altprop::spiking::testing
