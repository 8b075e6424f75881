// Layers of units with ramps and a fixed threshold: first crossings and their derivatives against
// closed forms, worked examples, central differences and the laws that times obey.
#include "altprop/spiking/event.h"

#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/spike_loss.h"
#include "altprop/spiking/event_plain.h"
#include "altprop/tensor/own_kernels.h"
#include "network/spikes.h"
#include "network/support.h"
#include "spiking/support.h"

namespace altprop::spiking::testing {
namespace {

/// The layer alone, on rows of times.
Tensor fired(const Tensor& times, const Tensor& weight, double theta = 1) {
  Graph net = chain_of({times.size(1)}, {event(weight.size(0), {.threshold = theta})});
  net.params()[0]->value.copy_(weight);
  return net.predict(times);
}

/// A net of two layers with its gradients of a loss that sees the output times.
struct TwoLayers {
  Graph net;
  Tensor inputs, cot, output;
  std::vector<Tensor> credits;
  Gradients sink;

  TwoLayers(int64_t in, int64_t hidden, int64_t out)
      : net(chain_of({in}, {event(hidden), event(out)})) {}
  Tensor& weight(size_t layer) { return net.params()[layer]->value; }

  void run(const Tensor& times, const std::function<Tensor(const Tensor&)>& gradient) {
    inputs = times;
    Activity activity;
    output = net.run(times, activity, {Mode::Train});
    cot = gradient(output);
    Feedback exact;
    net.sweep(activity, {{net.output_node(), cot}}, exact, &sink, {.input_credits = &credits});
  }
};

TEST(SpikingEvent, WorkedExample) {
  TwoLayers two(3, 2, 2);
  two.weight(0).copy_(table({1.5, 0.8, 1.0, 2.0, -0.5, 0.6}, {3, 2}).t());
  two.weight(1).copy_(table({2.0, 0.5, 0.3, 1.2}, {2, 2}).t());
  const auto loss = make_spike_cross_entropy({.kappa = 1});
  const Tensor target = at::zeros({1}, at::kLong);
  two.run(table({0.1, 0.4, 0.7}, {1, 3}),
          [&](const Tensor& t) { return loss->gradient(t, target); });
  const auto expect = [](const Tensor& found, std::vector<double> numbers, IntArrayRef shape) {
    EXPECT_LE((found - table(std::move(numbers), shape)).abs().max().item<double>(), 6e-11)
        << found;
  };
  expect(two.output, {1.0614906832, 1.2445378151}, {1, 2});
  EXPECT_NEAR(loss->value(two.output, target).item<double>(), 0.6058060620, 6e-11);
  expect(two.cot, {0.4543655658, -0.4543655658}, {1, 2});
  expect(two.sink.of_param(*two.net.params()[1]).t(),
         {-0.0872165931, 0.1669226340, -0.0770568661, 0.1531771211}, {2, 2});
  expect(two.sink.of_param(*two.net.params()[0]).t(),
         {-0.0543844207, 0.0533599104, -0.0230087934, 0.0253459574, 0, 0}, {3, 2});
  expect(two.credits[0], {0.0821742620, -0.0821742620, 0}, {1, 3});
  EXPECT_EQ(two.credits[0][0][2].item<double>(), 0) << "later than both, exactly";
}

TEST(SpikingEvent, TheFirstCrossingAndNotTheLast) {
  const Tensor t = table({0, 1, 2}, {1, 3});
  EXPECT_NEAR(fired(t, table({1.001, -1.4, 3}, {1, 3})).item<double>(), 1 / 1.001, 1e-12);
  EXPECT_NEAR(fired(t, table({0.999, -1.4, 3}, {1, 3})).item<double>(), 2 + (1 - 0.598) / 2.599,
              1e-12);
}

TEST(SpikingEvent, OddInputs) {
  const double inf = INFINITY;
  EXPECT_EQ(fired(table({inf, inf}, {1, 2}), table({1, 1}, {1, 2})).item<double>(), inf);
  EXPECT_EQ(fired(table({0, 0.5}, {1, 2}), table({1, -1}, {1, 2})).item<double>(), inf) << "flat";
  EXPECT_EQ(fired(table({0, 0.5}, {1, 2}), table({-1, 0.5}, {1, 2})).item<double>(), inf);
  EXPECT_NEAR(fired(table({0.3}, {1, 1}), table({4}, {1, 1})).item<double>(), 0.55, 1e-15);
  // Spikes at one time count together, however they are ordered.
  EXPECT_NEAR(fired(table({0.3, 0.3, 0.3}, {1, 3}), table({-9, 4, 7}, {1, 3})).item<double>(), 0.8,
              1e-15);
  // Before zero.
  EXPECT_NEAR(fired(table({-2, -1.5}, {1, 2}), table({1, 1}, {1, 2})).item<double>(), -1.25, 1e-15);
  // A spike that comes exactly as the unit fires is no cause.
  EXPECT_EQ(fired(table({0, 1}, {1, 2}), table({1, -5}, {1, 2})).item<double>(), 1);
  EXPECT_EQ(fired(table({0, 1}, {1, 2}), table({1, 5}, {1, 2})).item<double>(), 1);
  EXPECT_TRUE(std::isnan(fired(table({0, NAN}, {1, 2}), table({1, 1}, {1, 2})).item<double>()));
  EXPECT_TRUE(std::isnan(fired(table({0, 0.1}, {1, 2}), table({1, NAN}, {1, 2})).item<double>()));
  EXPECT_TRUE(std::isnan(fired(table({0, 0.1}, {1, 2}), table({1, inf}, {1, 2})).item<double>()));
  EXPECT_TRUE(std::isnan(fired(table({-inf, 0.1}, {1, 2}), table({1, 1}, {1, 2})).item<double>()));
  EXPECT_EQ(fired(table({0, 3}, {1, 2}), table({1, NAN}, {1, 2})).item<double>(), 1)
      << "what comes later is not looked at";
  EXPECT_EQ(fired(at::empty({0, 3}, at::kDouble), table({1, 1, 1}, {1, 3})).size(0), 0);
}

/// Widths around the lanes and the tiles of the kernel.
const std::vector<std::array<int64_t, 3>> kEventSizes = {
    {1, 1, 1}, {3, 7, 10}, {5, 40, 16}, {2, 33, 17}, {4, 20, 64}, {3, 50, 65}, {6, 90, 150}};

TEST(SpikingEvent, KernelAndPlainFormEqualTheClosedForm) {
  for (const auto& [rows, n, m] : kEventSizes)
    for (const at::ScalarType type : {at::kDouble, at::kFloat})
      for (const bool ties : {false, true}) {
        SCOPED_TRACE(text::cat(rows, " ", n, " ", m, type == at::kFloat ? " float32" : "", ties));
        Tensor t = some_times(3, rows, n, 1, 0.3, type);
        if (ties) t = (t * 8).round() / 8;
        const double mean = 2.0 / static_cast<double>(n);
        const Tensor w = some_weights(4, m, n, mean, 3 * mean, type);
        const Tensor theta = Stream(5).uniform(0.5, 1.5, {m}, type);
        const Tensor expected = closed_form(t, w, theta);
        const Crossings own = first_crossings(t, w, theta);
        const KernelsOff off({OwnKernel::SpikeEvents});
        const Crossings plain = first_crossings(t, w, theta);
        for (const Crossings& found : {own, plain}) {
          if (type == at::kDouble) {
            expect_times(found.times, expected, 1e-9);
          } else {
            // Where a unit barely fires its time has few digits.
            const Tensor steep = found.slopes.gt(0.1);
            const Tensor off_by = (found.times.to(at::kDouble) - expected).abs();
            EXPECT_TRUE(off_by.masked_select(steep).lt(1e-3).all().item<bool>());
            EXPECT_LE(found.times.isinf().ne(expected.isinf()).sum().item<int64_t>(),
                      rows * m / 50);
          }
        }
      }
}

TEST(SpikingEvent, KernelAndPlainFormAgreeOnCredits) {
  for (const auto& [rows, n, m] : kEventSizes)
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
      SCOPED_TRACE(text::cat(rows, " ", n, " ", m));
      const Tensor t = (some_times(3, rows, n, 1, 0.3, type) * 16).round() / 16;
      const double mean = 2.0 / static_cast<double>(n);
      const Tensor w = some_weights(4, m, n, mean, 3 * mean, type);
      const Crossings found = first_crossings(t, w, at::ones({m}, type));
      const Tensor q = Stream(6).normal({rows, m}, type).masked_fill(found.times.isinf(), 0);
      const Tensor to_inputs = arrivals_credit(t, found.times, q, w),
                   to_weights = weight_credit(t, found.times, q);
      const KernelsOff off({OwnKernel::SpikeEvents});
      const double tolerance = type == at::kFloat ? 1e-5 : 1e-13;
      expect_close(to_inputs, arrivals_credit(t, found.times, q, w), tolerance, "inputs");
      expect_close(to_weights, weight_credit(t, found.times, q), tolerance, "weights");
    }
}

TEST(SpikingEvent, SameBitsWithAnyNumberOfThreads) {
  const Tensor t = some_times(3, 200, 120, 1, 0.3, at::kFloat),
               w = some_weights(4, 300, 120, 0.02, 0.06, at::kFloat);
  const int before = at::get_num_threads();
  std::vector<Tensor> first;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    const Crossings found = first_crossings(t, w, at::ones({300}));
    const Tensor q = found.times.isfinite().to(at::kFloat);
    const std::vector<Tensor> all = {found.times, found.slopes,
                                     arrivals_credit(t, found.times, q, w),
                                     weight_credit(t, found.times, q)};
    if (threads == 1) first = all;
    for (size_t i = 0; i < all.size(); ++i)
      EXPECT_TRUE(all[i].equal(first[i])) << threads << " " << i;
  }
  at::set_num_threads(before);
}

TEST(SpikingEvent, InstructionsAgree) {
  const Tensor t = some_times(3, 20, 120, 1, 0.3, at::kFloat),
               w = some_weights(4, 100, 120, 0.02, 0.06, at::kFloat);
  const Crossings best = first_crossings(t, w, at::ones({100}));
  for (const OwnKernels& off :
       {OwnKernels{OwnKernel::Avx512}, OwnKernels{OwnKernel::Avx512, OwnKernel::Avx2}}) {
    const KernelsOff less(off);
    const Crossings found = first_crossings(t, w, at::ones({100}));
    expect_times(found.times, best.times, 2e-3);
  }
}

TEST(SpikingEvent, GradientsAreCentralDifferences) {
  TwoLayers two(6, 9, 4);
  two.weight(0).copy_(some_weights(1, 9, 6, 0.4, 0.7));
  two.weight(1).copy_(some_weights(2, 4, 9, 0.15, 0.5));
  const Tensor t = some_times(3, 7, 6, 1, 0.15);
  const Tensor cot = Stream(4).normal({7, 4}, at::kDouble);
  two.run(t, [&](const Tensor& out) { return cot.masked_fill(out.isinf(), 0); });
  ASSERT_GT(two.output.isinf().sum().item<int64_t>(), 0);
  ASSERT_LT(two.output.isinf().sum().item<int64_t>(), 20);
  const auto value = [&] {
    const Tensor out = two.net.predict(t);
    return (out.masked_fill(out.isinf(), 0) * cot).sum().item<double>();
  };
  const auto compare = [&](const Tensor& at, const Tensor& found) {
    const Tensor flat = at.view(-1), given = found.reshape(-1);
    for (int64_t i = 0; i < flat.numel(); ++i) {
      const double h = 1e-6, kept = flat[i].item<double>();
      if (std::isinf(kept)) {
        EXPECT_EQ(given[i].item<double>(), 0) << "of a silent input, exactly";
        continue;
      }
      flat[i].fill_(kept + h);
      const double above = value();
      flat[i].fill_(kept - h);
      const double below = value();
      flat[i].fill_(kept);
      EXPECT_NEAR(given[i].item<double>(), (above - below) / (2 * h),
                  1e-8 * std::max(1.0, std::abs(given[i].item<double>())))
          << i;
    }
  };
  compare(two.weight(0), two.sink.of_param(*two.net.params()[0]));
  compare(two.weight(1), two.sink.of_param(*two.net.params()[1]));
  compare(t, two.credits[0]);
}

TEST(SpikingEvent, WeightsOfAnInputThatNeverFiresHaveNoGradientAtAll) {
  for (const bool plain : {false, true}) {
    const KernelsOff off(plain ? OwnKernels{OwnKernel::SpikeEvents} : OwnKernels{});
    TwoLayers two(6, 9, 4);
    two.weight(0).copy_(some_weights(1, 9, 6, 0.5, 0.6));
    two.weight(1).copy_(some_weights(2, 4, 9, 0.4, 0.4));
    Tensor t = some_times(3, 7, 6, 1, 0.15);
    t.select(1, 2).fill_(INFINITY);
    two.run(t, [](const Tensor& out) { return out.isfinite().to(at::kDouble); });
    const Tensor found = two.sink.of_param(*two.net.params()[0]);
    for (int64_t i = 0; i < 6; ++i)
      EXPECT_EQ(largest(found.select(1, i)) == 0, i == 2) << "input " << i;
  }
}

/// Whatever number of spikes comes in a sample, and of a convolution whatever its windows hold.
TEST(SpikingEvent, TimesAndSlopesAreAllThatIsKept) {
  const auto kept = [](const OpPtr& layer, const Tensor& t) {
    Graph net = chain_of(t.sizes().slice(1).vec(), {layer});
    Activity activity;
    const Tensor out = net.run(t, activity, {});
    std::vector<std::vector<int64_t>> shapes;
    for (const Tensor& saved : activity.saved[1].t) shapes.push_back(saved.sizes().vec());
    return shapes;
  };
  using Shapes = std::vector<std::vector<int64_t>>;
  EXPECT_EQ(kept(event(9), some_times(3, 7, 20)), (Shapes{{7, 20}, {7, 9}, {7, 9}}));
  const EventSettings conv{.out = 4, .kernel = {.height = 3, .padding = 1}};
  EXPECT_EQ(kept(std::make_shared<Event>(conv), some_times(3, 2, 50).view({2, 2, 5, 5})),
            (Shapes{{2, 2, 5, 5}, {50, 4}, {50, 4}}));
}

TEST(SpikingEvent, ASimulationInTimeConvergesToIt) {
  const Tensor t = some_times(3, 5, 12, 1, 0.2), w = some_weights(4, 8, 12, 0.25, 0.5);
  const Tensor exact = fired(t, w);
  ASSERT_GT(exact.isinf().sum().item<int64_t>(), 0);
  double before = 0;
  for (const double dt : {1e-2, 1e-3}) {
    Tensor found = at::full_like(exact, INFINITY);
    const Tensor when = t.masked_fill(t.isinf(), 1e9);
    // Behind its last input a unit is a straight line: what has not fired by then and rises will.
    const double end = exact.masked_fill(exact.isinf(), 0).max().item<double>() + 2 * dt;
    for (double now = 0; now < end; now += dt) {
      const Tensor potential = at::mm((now - when).clamp_min(0), w.t());
      found =
          at::where(potential.ge(1).logical_and(found.isinf()), at::full_like(found, now), found);
    }
    EXPECT_TRUE(at::equal(found.isinf(), exact.isinf()));
    const Tensor late = (found - exact).masked_select(exact.isfinite());
    EXPECT_GE(late.min().item<double>(), -1e-9);
    EXPECT_LE(late.max().item<double>(), dt + 1e-9);
    if (before > 0) {
      EXPECT_NEAR(late.max().item<double>() / before, 0.1, 0.05) << "linear in dt";
    }
    before = late.max().item<double>();
  }
}

TEST(SpikingEvent, LaterInputsMakeLaterOutputsAndTheSameGradients) {
  const auto gradients = [](double shift) {
    auto two = std::make_unique<TwoLayers>(6, 9, 4);
    two->weight(0).copy_(some_weights(1, 9, 6, 0.5, 0.6));
    two->weight(1).copy_(some_weights(2, 4, 9, 0.4, 0.4));
    two->run(some_times(3, 7, 6, 1, 0.15) + shift,
             [](const Tensor& out) { return out.isfinite().to(at::kDouble); });
    return two;
  };
  const auto now = gradients(0), later = gradients(3.5);
  expect_times(later->output, now->output + 3.5, 1e-12);
  for (size_t i = 0; i < 2; ++i)
    expect_close(later->sink.of_param(*later->net.params()[i]),
                 now->sink.of_param(*now->net.params()[i]), 1e-11, "weights");
  expect_close(now->credits[0].sum(1), now->output.isfinite().to(at::kDouble).sum(1), 1e-12,
               "the credits of a sample's inputs sum to the number of its outputs that fire");
}

TEST(SpikingEvent, OrderOfInputsAndWhatComesTooLateChangeNothing) {
  const Tensor t = some_times(3, 7, 20), w = some_weights(4, 11, 20, 0.2, 0.5);
  const Tensor out = fired(t, w), order = Stream(9).permutation(20);
  expect_times(fired(t.index_select(1, order), w.index_select(1, order)), out, 1e-12);
  // An input behind all outputs may come at any later time, or never.
  const double last = out.masked_fill(out.isinf(), 0).max().item<double>() + 0.1;
  Tensor more = at::cat({t, at::full({7, 1}, last, at::kDouble)}, 1);
  const Tensor weights = at::cat({w, at::full({11, 1}, -5.0, at::kDouble)}, 1);
  const Tensor expected = fired(more, weights);
  for (const double time : {last + 1, static_cast<double>(INFINITY)}) {
    more.select(1, 20).fill_(time);
    const Tensor found = fired(more, weights);
    EXPECT_TRUE(at::equal(found.masked_select(out.isfinite()), out.masked_select(out.isfinite())));
  }
  EXPECT_TRUE(at::equal(expected.masked_select(out.isfinite()), out.masked_select(out.isfinite())));
}

}  // namespace
}  // namespace altprop::spiking::testing
