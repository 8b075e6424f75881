#include "spiking/special_spikes.h"

#include <cmath>

#include "altprop/network/graph.h"
#include "altprop/network/ops/activation.h"
#include "altprop/spiking/coding.h"
#include "altprop/spiking/constant_slope.h"
#include "altprop/spiking/event.h"
#include "altprop/spiking/window.h"

namespace altprop::test {

namespace {

Tensor infinite_like(const Tensor& t) {
  return at::full(t.sizes(), INFINITY, t.options().requires_grad(false));
}

/// When sums of ramps first reach 1, by the sums in front of every spike at once; no derivative.
Tensor when_reached(const Tensor& t, const Tensor& w) {
  const auto [sorted, order] = t.sort(1);
  const int64_t b = t.size(0), m = w.size(0), n = t.size(1);
  const Tensor comes = sorted.isfinite().unsqueeze(1);
  const Tensor weights =
      w.unsqueeze(0).expand({b, m, n}).gather(2, order.unsqueeze(1).expand({b, m, n}));
  const Tensor slope = at::where(comes, weights, at::zeros_like(weights)).cumsum(2);
  const Tensor next =
      at::cat({sorted.narrow(1, 1, n - 1), infinite_like(sorted.narrow(1, 0, 1))}, 1);
  const Tensor gap = (next - sorted).unsqueeze(1), between = gap.gt(0).logical_and(gap.isfinite());
  const Tensor end = at::where(between, slope * gap, at::zeros_like(slope)).cumsum(2);
  const Tensor last = next.isinf().unsqueeze(1).logical_and(comes);
  const Tensor fires =
      at::where(last, slope.le(0).logical_not(), end.lt(1).logical_not().logical_and(between))
          .logical_and(comes);
  const Tensor k = fires.to(at::kInt).argmax(2, true);
  const Tensor before = at::cat({at::zeros_like(end.narrow(2, 0, 1)), end.narrow(2, 0, n - 1)}, 2);
  const Tensor rise = slope.gather(2, k).squeeze(2);
  const Tensor time = sorted.unsqueeze(1).expand({b, m, n}).gather(2, k).squeeze(2) +
                      (1 - before.gather(2, k).squeeze(2)) / rise + (rise - rise);
  return at::where(fires.any(2), time, infinite_like(time))
      .masked_fill(t.gt(-INFINITY).logical_not().any(1, true), NAN);
}

/// [rows, n] to [rows, m], with its derivative by the closed form.
Tensor first_times(const Tensor& t, const Tensor& w) {
  const Tensor time = when_reached(t.detach(), w.detach()), silent = time.eq(INFINITY);
  const Tensor never = t.detach().eq(INFINITY);
  const Tensor cause = t.detach()
                           .unsqueeze(1)
                           .ge(time.unsqueeze(2))
                           .logical_or(never.unsqueeze(1))
                           .logical_or(silent.unsqueeze(2))
                           .logical_not();
  const Tensor when = t.masked_fill(never, 0).unsqueeze(1),
               zero = at::zeros({}, w.options().requires_grad(false));
  const Tensor weights = at::where(cause, w.unsqueeze(0), zero);
  Tensor slope = weights.sum(2);
  slope = at::where(silent, at::ones_like(time), slope + (slope - slope).detach());
  slope = slope.masked_fill(t.detach().gt(-INFINITY).logical_not().any(1, true), NAN);
  // Masked before and behind the product: what is no cause has no part in it, NaN neither.
  const Tensor moment = at::where(cause, weights * when, zero).sum(2);
  return at::where(silent, infinite_like(time), (1 + moment) / slope);
}

Tensor event_conv(Values v) {
  const Tensor framed = at::constant_pad_nd(v[0], {1, 1, 1, 1}, INFINITY);
  const int64_t b = v[0].size(0), h = v[0].size(2), w = v[0].size(3);
  const Tensor rows =
      at::im2col(framed, {3, 3}, {1, 1}, {0, 0}, {1, 1}).transpose(1, 2).flatten(0, 1);
  return first_times(rows, v[1].flatten(1))
      .view({b, h * w, -1})
      .transpose(1, 2)
      .reshape({b, v[1].size(0), h, w});
}

/// A window of length 1, of the sums that `weigh` makes.
template <class F>
Tensor window_of(const Tensor& t, F&& weigh) {
  const Tensor never = t.detach().eq(INFINITY);
  const Tensor s = weigh(never.logical_not().to(t.scalar_type())),
               i = weigh(t.masked_fill(never, 0));
  const Tensor lift = s - i, slope = 1 + s, rest = 1 - lift;
  const Tensor lost = (lift + slope).detach().isfinite().logical_not();
  const Tensor early = lift.detach().ge(1),
               inside = early.logical_not()
                            .logical_and(slope.detach().gt(0))
                            .logical_and(rest.detach().le(slope.detach()));
  const Tensor some = inside.logical_or(lost);
  const Tensor nan = at::zeros_like(slope).detach().masked_fill_(lost, NAN);
  const Tensor time = rest / (at::where(some, slope, at::ones_like(slope).detach()) + nan);
  const Tensor flat = time.detach().le(0).logical_or(time.detach().ge(1)).logical_and(inside);
  const Tensor out = at::where(flat, time.detach(), time);
  return at::where(early.logical_and(lost.logical_not()), at::zeros_like(time).detach(),
                   at::where(some, out, infinite_like(time.detach())));
}

OpPtr graph_of(std::vector<int64_t> shape, const std::vector<OpPtr>& ops) {
  auto net = std::make_shared<Graph>();
  int x = net->input({.shape = std::move(shape)});
  for (const OpPtr& op : ops) x = net->add(op, {x});
  net->output(x);
  return net;
}

}  // namespace

std::vector<Special> special_spikes() {
  using namespace altprop::spiking;
  std::vector<Special> out;
  for (const auto& [n, m] : std::vector<std::array<int64_t, 2>>{{9, 5}, {12, 33}})
    out.push_back({.name = "relpsp_event" + std::to_string(m),
                   .words = {"relpsp-event"},
                   .make = [m = m] { return std::make_shared<Event>(EventSettings{.out = m}); },
                   .shapes = {{4, n}},
                   .library = [](Values v) { return first_times(v[0], v[1]); },
                   .in_terms = true});
  out.push_back({.name = "relpsp_event_conv",
                 .words = {"relpsp-event-conv"},
                 .make =
                     [] {
                       return std::make_shared<Event>(
                           EventSettings{.out = 3, .kernel = {.height = 3, .padding = 1}});
                     },
                 .shapes = {{2, 2, 3, 4}},
                 .library = event_conv,
                 .in_terms = true});
  out.push_back({.name = "relpsp_window",
                 .words = {"relpsp-window"},
                 .make = [] { return std::make_shared<spiking::Window>(WindowSettings{.out = 6}); },
                 .shapes = {{4, 7}},
                 .library =
                     [](Values v) {
                       return window_of(v[0], [&](const Tensor& x) { return at::mm(x, v[1].t()); });
                     },
                 .in_terms = true});
  out.push_back({.name = "relpsp_window_conv",
                 .words = {"relpsp-window-conv"},
                 .make =
                     [] {
                       return std::make_shared<spiking::Window>(
                           WindowSettings{.out = 3, .kernel = {.height = 3, .padding = 1}});
                     },
                 .shapes = {{2, 2, 4, 4}},
                 .library =
                     [](Values v) {
                       return window_of(
                           v[0], [&](const Tensor& x) { return at::conv2d(x, v[1], {}, 1, 1); });
                     },
                 .in_terms = true});
  out.push_back(
      {.name = "constant_slope",
       .words = {},
       .make = [] { return std::make_shared<ConstantSlope>(ConstantSlopeSettings{.out = 6}); },
       .shapes = {{4, 7}},
       .library =
           [](Values v) {
             const Tensor a = (1 - v[0]).masked_fill(v[0].detach().eq(INFINITY), 0);
             const Tensor z = at::linear(a, v[1], v[2]);
             return (1 - z.clamp_max(1)).masked_fill(z.detach().le(0), INFINITY);
           },
       .in_terms = true});
  out.push_back({.name = "latency",
                 .words = {"latency"},
                 .make =
                     [] {
                       return graph_of({5}, {activation("sigmoid"), latency(2)});
                     },
                 .shapes = {{3, 5}},
                 .library =
                     [](Values v) {
                       const Tensor x = v[0].sigmoid();
                       return (2 - 2 * x).masked_fill(x.detach().eq(0), INFINITY);
                     }});
  out.push_back({.name = "direct_code",
                 .words = {"direct-code"},
                 .make = [] { return direct_code(2); },
                 .shapes = {{3, 5}},
                 .library =
                     [](Values v) {
                       return (2 - 2 * v[0])
                           .masked_fill(v[0].detach().ge(1), 0)
                           .masked_fill(v[0].detach().le(0), INFINITY);
                     }});
  out.push_back({.name = "earliest_pool",
                 .words = {"earliest-pool"},
                 .make = [] { return earliest_pool2d(2); },
                 .shapes = {{2, 3, 4, 6}},
                 .library =
                     [](Values v) {
                       const Tensor first = -at::max_pool2d(-v[0], 2);
                       return first.masked_fill(first.detach().eq(INFINITY), INFINITY);
                     }});
  out.push_back({.name = "membrane",
                 .words = {"membrane"},
                 .make = [] { return membrane(6); },
                 .shapes = {{4, 7}},
                 .library =
                     [](Values v) {
                       const Tensor ramp = (2 - v[0]).masked_fill(v[0].detach().eq(INFINITY), 0);
                       return at::mm(ramp, v[1].t());
                     },
                 .in_terms = true});
  return out;
}

}  // namespace altprop::test
