#include "altprop/spiking/window_times.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "altprop/network/ops/check.h"
#include "altprop/tensor/vectorised.h"

namespace altprop::spiking {

namespace {

constexpr int64_t kGrainOfWindow = 1 << 14;  ///< numbers that are worth a thread

template <class T>
struct WindowLoop {
  const T *s, *i;
  T window, clamp;
  T *times, *by_times, *by_spikes;
};

/// The rising side of a window: with lift = S T - I, the potential when it opens, t is
/// (T - lift)/(1 + S), which is no difference of large numbers.
template <class T>
ALTPROP_VECTORISED void fire_in_window(WindowLoop<T> loop, int64_t from, int64_t to) {
  constexpr T never = std::numeric_limits<T>::infinity();
  const T window = loop.window, clamp = loop.clamp;
  const T* __restrict s = loop.s;
  const T* __restrict sum = loop.i;
  T* __restrict times = loop.times;
  T* __restrict by_times = loop.by_times;
  T* __restrict by_spikes = loop.by_spikes;
  for (int64_t k = from; k < to; ++k) {
    const T lift = s[k] * window - sum[k], slope = 1 + s[k], rest = window - lift;
    const bool early = lift >= window;
    const bool inside = !early & (slope > 0) & (rest <= slope * window);
    const T safe = inside ? slope : T(1), inverse = 1 / safe, t = rest / safe;
    const bool moves = inside & (t > 0) & (t < window);
    const T spikes = -(sum[k] + 2 * window) * inverse * inverse;
    const T lost = (lift + slope) - (lift + slope);  // 0, or NaN of what is no number
    times[k] = (early ? T(0) : inside ? t : never) + lost;
    by_times[k] = (moves ? (inverse < clamp ? inverse : clamp) : T(0)) + lost;
    by_spikes[k] = (moves ? (spikes < -clamp  ? -clamp
                             : spikes > clamp ? clamp
                                              : spikes)
                          : T(0)) +
                   lost;
  }
}

template <class T>
ALTPROP_VECTORISED void split_times(const T* __restrict times, T* __restrict spikes,
                                    T* __restrict finite, int64_t from, int64_t to) {
  constexpr T never = std::numeric_limits<T>::infinity();
  for (int64_t k = from; k < to; ++k) {
    spikes[k] = times[k] == never ? T(0) : T(1);
    finite[k] = times[k] == never ? T(0) : times[k];
  }
}

template <class T>
ALTPROP_VECTORISED void credit_sums(const T* __restrict cot, const T* __restrict by_spikes,
                                    const T* __restrict by_times, T* __restrict to_spikes,
                                    T* __restrict to_times, int64_t from, int64_t to) {
  for (int64_t k = from; k < to; ++k) {
    const T a = cot[k] * by_spikes[k], b = cot[k] * by_times[k];
    to_spikes[k] = by_times[k] == 0 ? T(0) : a;
    to_times[k] = by_times[k] == 0 ? T(0) : b;
  }
}

bool own(const Tensor& t) {
  return own_kernel_reaches(OwnKernel::SpikeEvents, t) &&
         (t.scalar_type() == at::kFloat || t.scalar_type() == at::kDouble);
}

/// Dense in memory, in the layout of `like`.
Tensor laid_out(const Tensor& t, const Tensor& like) {
  return t.contiguous(like.suggest_memory_format());
}

Tensor twice_as_many(const Tensor& t) {
  return at::empty(with_rows(t.sizes(), 2 * t.size(0)), t.options(), t.suggest_memory_format());
}

template <class F>
void in_parts(int64_t n, F&& f) {
  at::parallel_for(0, n, kGrainOfWindow, f);
}

template <class T>
WindowTimes times_by_kernel(const Tensor& sums, double window, double clamp) {
  const Tensor dense = laid_out(sums, sums);
  const int64_t b = sums.size(0) / 2, n = sums.numel() / 2;
  const auto like = [&] {
    return at::empty(with_rows(sums.sizes(), b), sums.options(), sums.suggest_memory_format());
  };
  WindowTimes out{like(), like(), like()};
  const T* from = dense.const_data_ptr<T>();
  const WindowLoop<T> loop{from,
                           from + n,
                           static_cast<T>(window),
                           static_cast<T>(clamp),
                           out.times.mutable_data_ptr<T>(),
                           out.by_times.mutable_data_ptr<T>(),
                           out.by_spikes.mutable_data_ptr<T>()};
  in_parts(n, [&](int64_t a, int64_t z) { vectorised<fire_in_window<T>>(loop, a, z); });
  return out;
}

}  // namespace

WindowTimes window_times(const Tensor& sums, double window, double clamp) {
  if (own(sums))
    return sums.scalar_type() == at::kFloat ? times_by_kernel<float>(sums, window, clamp)
                                            : times_by_kernel<double>(sums, window, clamp);
  const double T = window;
  const int64_t b = sums.size(0) / 2;
  const Tensor s = sums.narrow(0, 0, b), i = sums.narrow(0, b, b);
  const Tensor lift = s * T - i, early = lift.ge(T), slope = s + 1, rest = lift.neg() + T;
  const Tensor inside =
      early.logical_not().logical_and(slope.gt(0)).logical_and(rest.le(slope * T));
  const Tensor safe = slope.masked_fill(inside.logical_not(), 1), t = rest / safe;
  const Tensor lost = (lift + slope).isfinite().logical_not();
  WindowTimes out;
  out.times = at::where(inside, t, at::full_like(t, INFINITY)).masked_fill_(early, 0);
  const Tensor flat = inside.logical_and(t.gt(0)).logical_and(t.lt(T)).logical_not();
  out.by_times = safe.reciprocal();
  out.by_spikes = ((i + 2 * T) * out.by_times.square()).neg_();
  if (std::isfinite(clamp)) {
    out.by_times.clamp_(-clamp, clamp);
    out.by_spikes.clamp_(-clamp, clamp);
  }
  // No order and no bound holds for what is no number, which has to show.
  for (Tensor* part : {&out.by_times, &out.by_spikes}) part->masked_fill_(flat, 0);
  for (Tensor* part : {&out.times, &out.by_times, &out.by_spikes}) part->masked_fill_(lost, NAN);
  return out;
}

Tensor spikes_and_times(const Tensor& times) {
  if (!own(times)) {
    const Tensor silent = times.eq(INFINITY);
    return at::cat({silent.logical_not().to(times.scalar_type()), times.masked_fill(silent, 0)}, 0);
  }
  const Tensor dense = laid_out(times, times), out = twice_as_many(times);
  const int64_t n = times.numel();
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    const T* from = dense.const_data_ptr<T>();
    T* to = out.mutable_data_ptr<T>();
    in_parts(n, [&](int64_t a, int64_t z) { vectorised<split_times<T>>(from, to, to + n, a, z); });
  };
  times.scalar_type() == at::kFloat ? run(0.f) : run(0.0);
  return out;
}

Tensor sums_credit(const Tensor& cot, const Tensor& by_spikes, const Tensor& by_times) {
  if (!own(cot)) {
    const Tensor flat = by_times.eq(0);
    return at::cat(
        {(cot * by_spikes).masked_fill_(flat, 0), (cot * by_times).masked_fill_(flat, 0)}, 0);
  }
  const Tensor c = laid_out(cot, by_times), s = laid_out(by_spikes, by_times),
               t = laid_out(by_times, by_times), out = twice_as_many(t);
  const int64_t n = cot.numel();
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    const T *credit = c.const_data_ptr<T>(), *of_s = s.const_data_ptr<T>(),
            *of_t = t.const_data_ptr<T>();
    T* to = out.mutable_data_ptr<T>();
    in_parts(n, [&](int64_t a, int64_t z) {
      vectorised<credit_sums<T>>(credit, of_s, of_t, to, to + n, a, z);
    });
  };
  cot.scalar_type() == at::kFloat ? run(0.f) : run(0.0);
  return out;
}

}  // namespace altprop::spiking
