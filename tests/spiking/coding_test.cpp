// Values to spike times, first spikes of windows, and potentials as a read-out.
#include "altprop/spiking/coding.h"

#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/pool.h"
#include "network/spikes.h"
#include "network/support.h"
#include "spiking/support.h"

namespace altprop::spiking::testing {
namespace {

using test::contains;
using test::message_of;

Tensor coded(const OpPtr& op, const Tensor& x) {
  Saved saved;
  return op->forward({&x, 1}, saved, {});
}

TEST(SpikingCoding, TheBrighterTheEarlierAndBlackNever) {
  const Tensor x = table({0, 0.25, 1, 0.5}, {1, 4});
  expect_times(coded(latency(2), x), table({INFINITY, 1.5, 0, 1}, {1, 4}), 1e-15);
  expect_times(coded(latency(2, false), x), table({2, 1.5, 0, 1}, {1, 4}), 1e-15);
  EXPECT_TRUE(coded(latency(), table({NAN}, {1, 1})).isnan().all().item<bool>());
  for (const double wrong : {-1e-3, -5.0, 1.5, 255.0}) {
    const std::string said = message_of([&] { coded(latency(), table({0.5, wrong}, {1, 2})); });
    EXPECT_TRUE(contains(said, "intensities are from 0 to 1, but " + text::from_number(wrong)))
        << said;
    EXPECT_TRUE(contains(said, "normalise=unit")) << said;
    EXPECT_LT(said.size(), 700u);
  }
  EXPECT_EQ(coded(latency(), at::empty({0, 3})).numel(), 0);
  EXPECT_THROW(latency(0), Refusal);
  EXPECT_THROW(latency(INFINITY), Refusal);
  EXPECT_THROW(direct_code(-1), Refusal);
}

TEST(SpikingCoding, DirectCodeClips) {
  const Tensor x = table({-3, 0, 0.25, 1, 7}, {1, 5});
  expect_times(coded(direct_code(2), x), table({INFINITY, INFINITY, 1.5, 0, 0}, {1, 5}), 1e-15);
  EXPECT_TRUE(coded(direct_code(), table({NAN}, {1, 1})).isnan().all().item<bool>());
  // Credit passes between the ends alone.
  Saved saved;
  const OpPtr op = direct_code(2);
  op->forward({&x, 1}, saved, {});
  EXPECT_TRUE(
      at::equal(op->vjp(saved, at::ones({1, 5}, at::kDouble)), table({0, 0, -2, 0, 0}, {1, 5})));
  EXPECT_TRUE(at::equal(op->vjp(saved, at::full({1, 5}, NAN, at::kDouble)).isnan(),
                        table({0, 0, 1, 0, 0}, {1, 5}).to(at::kBool)));
}

TEST(SpikingCoding, TheEarliestSpikeOfAWindow) {
  const Tensor t = some_times(3, 2, 3 * 6 * 5, 1, 0.6).view({2, 3, 6, 5});
  t.narrow(2, 0, 3).narrow(3, 0, 3).fill_(INFINITY);  // a window in which none fires
  for (const auto layout : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast})
    for (const int64_t padding : {0, 1}) {
      Graph net = chain_of({3, 6, 5}, {earliest_pool2d(3, 2, padding)});
      Activity activity;
      const Tensor x = t.contiguous(layout), out = net.run(x, activity, {});
      EXPECT_TRUE(legal(out, Kind::SpikeTime));
      const Tensor framed = at::constant_pad_nd(t, {padding, padding, padding, padding}, INFINITY);
      Tensor expected = at::empty_like(out), credit = at::zeros_like(framed);
      const Tensor cot = Stream(5).normal(out.sizes(), at::kDouble);
      for (int64_t y = 0; y < out.size(2); ++y)
        for (int64_t c = 0; c < out.size(3); ++c) {
          const Tensor window = framed.narrow(2, 2 * y, 3).narrow(3, 2 * c, 3);
          const auto [first, at] = window.flatten(2).min(2);
          expected.select(3, c).select(2, y).copy_(first);
          const Tensor winner =
              at::zeros({2, 3, 9}, at::kDouble)
                  .scatter_(2, at.unsqueeze(2), first.isfinite().to(at::kDouble).unsqueeze(2));
          credit.narrow(2, 2 * y, 3).narrow(3, 2 * c, 3) +=
              winner.view({2, 3, 3, 3}) * cot.select(3, c).select(2, y).unsqueeze(2).unsqueeze(3);
        }
      expect_times(out, expected, 0);
      ASSERT_TRUE(out.isinf().any().item<bool>());
      Feedback exact;
      std::vector<Tensor> credits;
      net.sweep(activity, {{net.output_node(), cot}}, exact, nullptr, {.input_credits = &credits});
      EXPECT_TRUE(at::equal(credits[0], credit.narrow(2, padding, 6).narrow(3, padding, 5)));
      EXPECT_EQ(credits[0].masked_select(t.isinf()).abs().sum().item<double>(), 0);
    }
}

TEST(SpikingCoding, PotentialsAreAfterTheWindowAndLinearInTimes) {
  Graph net = chain_of({3}, {membrane(2, 1.5)});
  net.params()[0]->value.copy_(table({1, 2, 3, -1, 0.5, 4}, {2, 3}));
  // V(2T) of ramps from t_i: W m (2T - t).
  expect_close(net.predict(table({0.5, INFINITY, 1}, {1, 3})), table({2.5 + 6, -2.5 + 8}, {1, 2}),
               1e-15, "potentials");
  EXPECT_EQ(net.node(net.output_node()).spec.kind, Kind::Real);
}

TEST(SpikingCoding, KeepTheContractOfOperations) {
  CheckOptions o;
  o.float_tolerance = 1e-3;
  const auto between = [](OpPtr front, std::vector<OpPtr> ops, std::vector<int64_t> shape) {
    auto net = std::make_shared<Graph>();
    int x = net->input({.shape = std::move(shape)});
    x = net->add(std::move(front), {x});
    for (OpPtr& op : ops) x = net->add(std::move(op), {x});
    net->output(x);
    return net;
  };
  const OpPtr decay = std::make_shared<test::Decay>();
  check_op(between(activation("sigmoid"), {latency(1.5), decay}, {5}), {{3, 5}}, o);
  check_op(between(direct_code(1.5), {decay}, {5}), {{3, 5}}, o);
  check_op(between(direct_code(1.5), {membrane(4)}, {5}), {{3, 5}}, o);
  check_op(between(direct_code(1.5), {earliest_pool2d(2), decay}, {2, 4, 5}), {{3, 2, 4, 5}}, o);
  // The membrane as it is, on times that all come.
  check_op(membrane(4), {{3, 5}}, o);
  check_op(earliest_pool2d(2), {{3, 2, 4, 5}}, o);
}

}  // namespace
}  // namespace altprop::spiking::testing
