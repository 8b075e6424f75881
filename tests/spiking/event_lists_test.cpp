// Lists of spikes in which an input comes several times: they are what a layer sees that has an
// input of its own for each of them, with the weight of the input that it is of.
#include <gtest/gtest.h>

#include <cstdlib>

#include "altprop/base/error.h"
#include "altprop/data/spiking/event_spikes.h"
#include "altprop/spiking/event_kernel.h"
#include "altprop/tensor/own_kernels.h"
#include "spiking/support.h"

namespace altprop::spiking::testing {
namespace {

constexpr int64_t kRows = 5, kInputs = 6, kMost = 23;

/// Rows of up to kMost spikes of kInputs inputs, most of which come several times; one has none.
SpikeLists some_lists(at::ScalarType type, bool ties) {
  Tensor t = Stream(3).uniform(0, 1, {kRows, kMost}, type);
  if (ties) t = (t * 8).round() / 8;
  t = std::get<0>(t.sort(1));
  for (int64_t r = 0; r < kRows; ++r) t[r].narrow(0, kMost - 4 * r, 4 * r).fill_(INFINITY);
  t[kRows - 1].fill_(INFINITY);
  const Tensor which = Stream(4).uniform(0, kInputs, {kRows, kMost}).to(at::kInt);
  return {t, which};
}

/// The row alone, with an input for each spike.
Tensor weights_by_spike(const SpikeLists& lists, const Tensor& w, int64_t row) {
  return w.index_select(1, lists.inputs[row].to(at::kLong));
}

class SpikeListsOf : public ::testing::TestWithParam<bool> {
 protected:
  KernelsOff off_{GetParam() ? OwnKernels{OwnKernel::SpikeEvents} : OwnKernels{}};
};
INSTANTIATE_TEST_SUITE_P(Both, SpikeListsOf, ::testing::Bool(), [](const auto& info) {
  return info.param ? "Plain" : "OwnKernel";
});

TEST_P(SpikeListsOf, CrossingsAreTheClosedForms) {
  for (const bool ties : {false, true})
    for (const int64_t m : {3, 16, 70}) {
      const SpikeLists lists = some_lists(at::kDouble, ties);
      const Tensor w = some_weights(5, m, kInputs, 0.1, 0.3), theta = at::ones({m}, at::kDouble);
      const Crossings found = first_crossings(lists, w, theta);
      for (int64_t r = 0; r < kRows; ++r)
        expect_times(found.times.narrow(0, r, 1),
                     closed_form(lists.times.narrow(0, r, 1), weights_by_spike(lists, w, r), theta),
                     1e-10);
      EXPECT_GT(found.times.isfinite().sum().item<int64_t>(), 3);
      EXPECT_EQ(found.slopes.eq(0).logical_xor(found.times.isinf()).sum().item<int64_t>(), 0);
    }
}

TEST_P(SpikeListsOf, CreditsAreThoseOfSpikesThatAreInputsOfTheirOwn) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat})
    for (const int64_t m : {3, 16, 70}) {
      const SpikeLists lists = some_lists(type, true);
      const Tensor w = some_weights(5, m, kInputs, 0.1, 0.3, type);
      const Crossings found = first_crossings(lists, w, at::ones({m}, type));
      const Tensor q = Stream(6).normal({kRows, m}, type).masked_fill(found.times.isinf(), 0);
      const Tensor by_spike = arrivals_credit(lists, found.times, q, w),
                   by_weight = weight_credit(lists, found.times, q, kInputs);
      ASSERT_EQ(by_spike.sizes(), IntArrayRef({kRows, kMost}));
      Tensor sum = at::zeros({m, kInputs}, type);
      for (int64_t r = 0; r < kRows; ++r) {
        const Tensor row = lists.times.narrow(0, r, 1), times = found.times.narrow(0, r, 1),
                     each = q.narrow(0, r, 1);
        expect_close(by_spike.narrow(0, r, 1),
                     arrivals_credit(row, times, each, weights_by_spike(lists, w, r)),
                     type == at::kFloat ? 1e-5 : 1e-13, "spikes");
        sum.index_add_(1, lists.inputs[r].to(at::kLong),
                       weight_credit(row, times, each).contiguous());
      }
      expect_close(by_weight, sum, type == at::kFloat ? 1e-5 : 1e-13, "weights");
      EXPECT_GT(largest(by_weight), 0);
    }
}

TEST_P(SpikeListsOf, OnesThatAreEmptyOrHaveNoNumberInThem) {
  const Tensor w = some_weights(5, 4, kInputs, 0.3, 0.3), theta = at::ones({4}, at::kDouble);
  const SpikeLists none{at::empty({2, 0}, at::kDouble), at::empty({2, 0}, at::kInt)};
  EXPECT_TRUE(first_crossings(none, w, theta).times.eq(INFINITY).all().item<bool>());
  SpikeLists lists = some_lists(at::kDouble, false);
  lists.times[0][3] = NAN;
  const Tensor found = first_crossings(lists, w, theta).times;
  EXPECT_TRUE(found[0].isnan().all().item<bool>());
  EXPECT_FALSE(found.narrow(0, 1, kRows - 1).isnan().any().item<bool>());
}

TEST(SpikeLists, WhatIsNoListIsRefused) {
  const Tensor w = some_weights(5, 4, kInputs, 0.3, 0.3), theta = at::ones({4}, at::kDouble);
  SpikeLists lists = some_lists(at::kDouble, false);
  lists.inputs[1][2] = kInputs;
  expect_refusal([&] { first_crossings(lists, w, theta); }, "row 1 has one of input 6");
  lists = some_lists(at::kDouble, false);
  lists.times[2][0] = 0.99;
  expect_refusal([&] { first_crossings(lists, w, theta); }, "row 2 are not in the order");
}

TEST(EventSpikes, EveryEventIsOne) {
  const data::Sensor sensor{4, 3};
  const SpikeLists found = data::spikes_of_events(
      {{{1, 2, true, 1100}, {1, 2, true, 1000}, {3, 0, false, 1500}, {0, 0, false, 2001}}, {}},
      sensor, 1000);
  // Pixel (1, 2) brightens twice, (3, 0) darkens once; what is later than the span is left out.
  EXPECT_TRUE(
      at::equal(found.inputs, at::tensor({12 + 9, 12 + 9, 3, 0, 0, 0}, at::kInt).view({2, 3})));
  EXPECT_TRUE(at::allclose(found.times[0], at::tensor({0.f, 0.1f, 0.5f})));
  EXPECT_TRUE(found.times[1].eq(INFINITY).all().item<bool>());
}

TEST(EventSpikes, OfARealRecordingGoToTheKernel) {
  const char* folder = std::getenv("ALTPROP_DATA");
  if (!folder) GTEST_SKIP() << "ALTPROP_DATA is not set";
  const auto events = data::read_nmnist(std::string(folder) + "/events/sample_nmnist.bin");
  const SpikeLists lists = data::spikes_of_events({events}, data::kNMnistSensor, 320e3);
  ASSERT_EQ(lists.times.size(1), static_cast<int64_t>(events.size())) << "all within 320 ms";
  const Tensor w = some_weights(5, 9, 2 * 34 * 34, 0.002, 0.01, at::kFloat), theta = at::ones({9});
  const Tensor found = first_crossings(lists, w, theta).times;
  expect_times(found, closed_form(lists.times, weights_by_spike(lists, w, 0), theta), 1e-3);
  EXPECT_GT(found.isfinite().sum().item<int64_t>(), 2);
  // The first event of each pixel alone says something else.
  const Tensor first =
      data::first_spike_view(events, data::kNMnistSensor, 320e3).flatten().unsqueeze(0);
  const Tensor once = (1 - first).masked_fill(first.eq(0), INFINITY);
  EXPECT_FALSE(at::allclose(first_crossings(once, w, theta).times, found));
}

}  // namespace
}  // namespace altprop::spiking::testing
