#include "altprop/spiking/event_plain.h"

#include <cmath>
#include <functional>
#include <optional>

namespace altprop::spiking::plain {

namespace {

constexpr int64_t kAtOnce = 1 << 22;  ///< numbers of a block [rows, outputs, inputs]

Tensor never(IntArrayRef shape, const Tensor& like) {
  return at::full(shape, INFINITY, like.options());
}

/// What all outputs of a row see, spike by spike. `column(k)` are the weights that the k-th spikes
/// of the rows have, [R, m].
/// @param sorted [R, 1 or m, n], ascending, +inf and then NaN at the end
Crossings run(const Tensor& sorted, const Tensor& thresholds,
              const std::function<Tensor(int64_t)>& column, int64_t outputs) {
  const int64_t rows = sorted.size(0), n = sorted.size(2);
  const Tensor lost = sorted.gt(-INFINITY).logical_not().any(2);  // NaN, or -inf
  Tensor first = sorted.select(2, 0);
  first = first.masked_fill(first.isfinite().logical_not(), 0);
  const Tensor since = sorted - first.unsqueeze(2);
  const std::vector<int64_t> shape = {rows, outputs};
  Tensor a = at::zeros(shape, sorted.options()), v = a, slopes = a, before = a,
         spike = never(shape, sorted);
  const int64_t most = sorted.numel() == 0 ? 0 : sorted.isfinite().sum(2).max().item<int64_t>();
  for (int64_t k = 0; k < most; ++k) {
    const Tensor here = since.select(2, k), comes = here.isfinite();
    const Tensor later = k + 1 < n ? since.select(2, k + 1) : never(here.sizes(), sorted);
    a = at::where(comes, a + column(k), a);
    const Tensor last = later.isinf().logical_and(comes);
    const Tensor gap =
        at::where(last.logical_or(comes.logical_not()), at::zeros_like(here), later - here);
    const Tensor apart = gap.gt(0);  // the next one does not come at the same time
    const Tensor next = at::where(apart, v + a * gap, v);
    const Tensor reaches = at::where(last, a.le(0).logical_not(),
                                     next.lt(thresholds).logical_not().logical_and(apart));
    const Tensor fires = reaches.logical_and(comes).logical_and(spike.eq(INFINITY));
    spike = at::where(fires, here, spike);
    before = at::where(fires, v, before);
    slopes = at::where(fires, a, slopes);
    v = next;
  }
  slopes = slopes + (slopes - slopes);  // NaN if infinite
  const Tensor times = first + (spike + (thresholds - before) / slopes);
  return {times.masked_fill(lost, NAN), slopes.masked_fill(lost, NAN)};
}

/// Blocks of outputs, so that a block [rows, outputs, inputs] stays small.
void for_outputs(int64_t rows, int64_t inputs, int64_t outputs,
                 const std::function<void(int64_t from, int64_t count)>& f) {
  const int64_t each = std::max<int64_t>(1, rows * inputs);
  const int64_t step = std::max<int64_t>(1, kAtOnce / each);
  for (int64_t from = 0; from < outputs; from += step) f(from, std::min(step, outputs - from));
}

/// When the spikes of the inputs reach some of the outputs, [R, count or 1, n], and which of them
/// are causes of these outputs' spikes, [R, count, n].
struct Causes {
  Tensor arrive, mask;
  Causes(const Tensor& arrivals, const Tensor& times, const Tensor& delays, int64_t from,
         int64_t count) {
    arrive = arrivals.unsqueeze(1);
    if (delays.defined()) arrive = arrive + delays.narrow(0, from, count);
    const Tensor out = times.narrow(1, from, count).unsqueeze(2);
    // NaN is a cause, so that it shows; silent inputs never are, and silent outputs have none.
    mask =
        arrive.ge(out).logical_or(arrive.eq(INFINITY)).logical_or(out.eq(INFINITY)).logical_not();
  }
  /// What is not a cause is left out before it is calculated with.
  Tensor only(const Tensor& value) const { return at::where(mask, value, at::zeros_like(value)); }
};

}  // namespace

Crossings first_crossings(const Tensor& arrivals, const Tensor& weight, const Tensor& thresholds,
                          const Tensor& delays) {
  const int64_t rows = arrivals.size(0), n = arrivals.size(1), m = weight.size(0);
  if (!delays.defined()) {
    const auto [sorted, order] = arrivals.sort(std::optional<bool>(true), 1, false);
    return run(
        sorted.unsqueeze(1), thresholds,
        [&, order = order](int64_t k) { return weight.t().index_select(0, order.select(1, k)); },
        m);
  }
  Crossings out{at::empty({rows, m}, arrivals.options()), at::empty({rows, m}, arrivals.options())};
  for_outputs(rows, n, m, [&](int64_t from, int64_t count) {
    const auto [sorted, order] = (arrivals.unsqueeze(1) + delays.narrow(0, from, count))
                                     .sort(std::optional<bool>(true), 2, false);
    const Tensor weights =
        weight.narrow(0, from, count).unsqueeze(0).expand(order.sizes()).gather(2, order);
    const Crossings some = run(
        sorted, thresholds.narrow(0, from, count), [&](int64_t k) { return weights.select(2, k); },
        count);
    out.times.narrow(1, from, count).copy_(some.times);
    out.slopes.narrow(1, from, count).copy_(some.slopes);
  });
  return out;
}

Crossings first_crossings(const SpikeLists& spikes, const Tensor& weight,
                          const Tensor& thresholds) {
  if (spikes.times.size(1) == 0) {
    const std::vector<int64_t> shape = {spikes.times.size(0), weight.size(0)};
    return {never(shape, weight), at::zeros(shape, weight.options())};
  }
  return run(
      spikes.times.unsqueeze(1), thresholds,
      [&](int64_t k) { return weight.t().index_select(0, spikes.inputs.select(1, k)); },
      weight.size(0));
}

Tensor arrivals_credit(const SpikeLists& spikes, const Tensor& times, const Tensor& q,
                       const Tensor& weight) {
  Tensor sum = at::zeros_like(spikes.times);
  const int64_t rows = spikes.times.size(0), most = spikes.times.size(1);
  const Tensor which = spikes.inputs.reshape({-1}).to(at::kLong);
  for_outputs(rows, most, times.size(1), [&](int64_t from, int64_t count) {
    const Causes causes(spikes.times, times, {}, from, count);
    const Tensor seen = weight.narrow(0, from, count).index_select(1, which);
    sum += causes
               .only(q.narrow(1, from, count).unsqueeze(2) *
                     seen.view({count, rows, most}).transpose(0, 1))
               .sum(1);
  });
  return sum;
}

Tensor weight_credit(const SpikeLists& spikes, const Tensor& times, const Tensor& q,
                     int64_t inputs) {
  Tensor sum = at::zeros({times.size(1), inputs}, times.options());
  const Tensor which = spikes.inputs.reshape({-1}).to(at::kLong);
  for_outputs(spikes.times.size(0), spikes.times.size(1), times.size(1),
              [&](int64_t from, int64_t count) {
                const Causes causes(spikes.times, times, {}, from, count);
                const Tensor lead =
                    causes.only(causes.arrive - times.narrow(1, from, count).unsqueeze(2));
                const Tensor each = causes.only(lead * q.narrow(1, from, count).unsqueeze(2));
                sum.narrow(0, from, count)
                    .index_add_(1, which, each.transpose(0, 1).reshape({count, -1}));
              });
  return sum;
}

Tensor arrivals_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                       const Tensor& weight, const Tensor& delays) {
  Tensor sum = at::zeros_like(arrivals);
  for_outputs(arrivals.size(0), arrivals.size(1), times.size(1), [&](int64_t from, int64_t count) {
    const Causes causes(arrivals, times, delays, from, count);
    sum +=
        causes.only(q.narrow(1, from, count).unsqueeze(2) * weight.narrow(0, from, count)).sum(1);
  });
  return sum;
}

Tensor weight_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                     const Tensor& delays) {
  Tensor sum = at::zeros({times.size(1), arrivals.size(1)}, arrivals.options());
  for_outputs(arrivals.size(0), arrivals.size(1), times.size(1), [&](int64_t from, int64_t count) {
    const Causes causes(arrivals, times, delays, from, count);
    const Tensor lead = causes.only(causes.arrive - times.narrow(1, from, count).unsqueeze(2));
    sum.narrow(0, from, count)
        .copy_(causes.only(lead * q.narrow(1, from, count).unsqueeze(2)).sum(0));
  });
  return sum;
}

Tensor delay_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                    const Tensor& weight, const Tensor& delays) {
  Tensor sum = at::zeros_like(weight);
  for_outputs(arrivals.size(0), arrivals.size(1), times.size(1), [&](int64_t from, int64_t count) {
    const Causes causes(arrivals, times, delays, from, count);
    sum.narrow(0, from, count)
        .copy_(causes.only(q.narrow(1, from, count).unsqueeze(2) * weight.narrow(0, from, count))
                   .sum(0));
  });
  return sum;
}

Tensor arrivals_tangent(const Tensor& arrivals, const Tensor& times, const Tensor& weight,
                        const Tensor& tangent, const Tensor& delays) {
  Tensor out = at::empty_like(times);
  for_outputs(arrivals.size(0), arrivals.size(1), times.size(1), [&](int64_t from, int64_t count) {
    const Causes causes(arrivals, times, delays, from, count);
    out.narrow(1, from, count)
        .copy_(causes.only(tangent.unsqueeze(1) * weight.narrow(0, from, count)).sum(2));
  });
  return out;
}

Tensor parameters_tangent(const Tensor& arrivals, const Tensor& times, const Tensor& weight,
                          const Tensor& dw, const Tensor& dd, const Tensor& delays) {
  Tensor out = at::empty_like(times);
  for_outputs(arrivals.size(0), arrivals.size(1), times.size(1), [&](int64_t from, int64_t count) {
    const Causes causes(arrivals, times, delays, from, count);
    Tensor sum = at::zeros_like(out.narrow(1, from, count));
    if (dw.defined()) {
      const Tensor lead = causes.only(causes.arrive - times.narrow(1, from, count).unsqueeze(2));
      sum += causes.only(lead * dw.narrow(0, from, count)).sum(2);
    }
    if (dd.defined())
      sum +=
          causes.only((weight * dd).narrow(0, from, count).unsqueeze(0).expand(causes.mask.sizes()))
              .sum(2);
    out.narrow(1, from, count).copy_(sum);
  });
  return out;
}

}  // namespace altprop::spiking::plain
