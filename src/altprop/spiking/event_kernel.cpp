#include "altprop/spiking/event_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "altprop/spiking/event_plain.h"
#include "altprop/tensor/announced.h"
#include "altprop/tensor/vectorised.h"

namespace altprop::spiking {

namespace {

constexpr int kLanes = 16;  ///< columns of weights are padded to a multiple of it
constexpr int kWide = 64;   ///< outputs of a tile, whose weights stay in the cache for all rows

template <class T>
constexpr T kNever = std::numeric_limits<T>::infinity();

/// The spikes of all rows, each row's in the order of time.
template <class T>
struct Spikes {
  int64_t rows, inputs;
  std::vector<T> times;        ///< [rows, inputs], `count` of each row
  std::vector<int32_t> order;  ///< the inputs that they are of
  std::vector<int32_t> count;
  /// Its times are all NaN, where one of them was.
  bool lost(int64_t row) const {
    const T first = times[static_cast<size_t>(row * inputs)];
    return count[static_cast<size_t>(row)] > 0 && first != first;
  }
};

/// Sorts by time, equal times by their number. Where NaN is among them all count as NaN.
template <class T>
void sort_row(const T* arrivals, int64_t n, T* times, int32_t* order, int32_t& count,
              std::vector<std::pair<T, int32_t>>& scratch) {
  scratch.clear();
  bool lost = false;
  for (int64_t i = 0; i < n; ++i) {
    const T t = arrivals[i];
    if (t == kNever<T>) continue;
    lost |= !(t > -kNever<T>);
    scratch.emplace_back(t, static_cast<int32_t>(i));
  }
  if (!lost) std::sort(scratch.begin(), scratch.end());
  count = static_cast<int32_t>(scratch.size());
  for (int32_t k = 0; k < count; ++k) {
    times[k] = lost ? std::numeric_limits<T>::quiet_NaN() : scratch[static_cast<size_t>(k)].first;
    order[k] = scratch[static_cast<size_t>(k)].second;
  }
}

template <class T>
Spikes<T> sorted(const Tensor& arrivals) {
  const Tensor dense = arrivals.contiguous();
  const int64_t rows = dense.size(0), n = dense.size(1);
  Spikes<T> out{rows, n};
  out.times.resize(static_cast<size_t>(rows * n));
  out.order.resize(static_cast<size_t>(rows * n));
  out.count.resize(static_cast<size_t>(rows));
  const T* from = dense.const_data_ptr<T>();
  at::parallel_for(0, rows, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, n)),
                   [&](int64_t begin, int64_t end) {
                     std::vector<std::pair<T, int32_t>> scratch;
                     for (int64_t r = begin; r < end; ++r)
                       sort_row(from + r * n, n, out.times.data() + r * n, out.order.data() + r * n,
                                out.count[static_cast<size_t>(r)], scratch);
                   });
  return out;
}

/// One row through the outputs of a tile. Times count from the row's first spike, which keeps the
/// digits of small differences.
/// @param weight the tile's first column of [inputs, stride]
template <class T, int W>
ALTPROP_VECTORISED void cross(const T* __restrict weight, int64_t stride,
                              const T* __restrict threshold, const T* times, const int32_t* order,
                              int64_t count, T* __restrict out, T* __restrict slopes) {
  alignas(64) T v[2][W], a[W], reach[W], spike[W], before[W], slope[W];
  int alive = 0;
  for (int o = 0; o < W; ++o) {
    v[0][o] = a[o] = before[o] = slope[o] = 0;
    spike[o] = kNever<T>;
    reach[o] = threshold[o];
    alive += threshold[o] < kNever<T>;
  }
  const T first = count > 0 ? times[0] : T(0);
  int now = 0;
  for (int64_t k = 0; k < count && alive > 0; ++k) {
    const T* __restrict w = weight + order[k] * stride;
    const T t = times[k] - first;
    for (int o = 0; o < W; ++o) a[o] += w[o];
    const bool last = k + 1 == count;
    const T gap = last ? T(0) : (times[k + 1] - first) - t;
    if (!last && !(gap > 0)) continue;  // they come at the same time
    T* __restrict here = v[now];
    T* __restrict next = v[1 - now];
    int some = 0;
    if (last) {
      for (int o = 0; o < W; ++o) {
        next[o] = a[o] <= 0 ? -kNever<T> : kNever<T>;
        some |= a[o] <= 0 ? 0 : 1;
      }
    } else {
      for (int o = 0; o < W; ++o) {
        next[o] = here[o] + a[o] * gap;
        some |= next[o] < reach[o] ? 0 : 1;  // NaN fires, so that it shows
      }
    }
    if (some) {
      int left = 0;
      for (int o = 0; o < W; ++o) {
        const bool fires = !(next[o] < reach[o]) && spike[o] == kNever<T> && reach[o] < kNever<T>;
        spike[o] = fires ? t : spike[o];
        before[o] = fires ? here[o] : before[o];
        slope[o] = fires ? a[o] : slope[o];
        reach[o] = fires ? kNever<T> : reach[o];
        left += reach[o] < kNever<T> ? 1 : 0;
      }
      alive = left;
    }
    now = 1 - now;
  }
  for (int o = 0; o < W; ++o) {
    // Nothing, but NaN of an infinite slope.
    const T lost = slope[o] - slope[o];
    out[o] = first + (spike[o] + (threshold[o] - before[o]) / slope[o]) + lost;
    slopes[o] = slope[o] + lost;
  }
}

/// One row's contribution to the tile's gradient, [inputs, stride].
/// @param out -inf of units that have no credit
template <class T, int W>
ALTPROP_VECTORISED void add_weight_credit(T* __restrict sum, int64_t stride, const T* times,
                                          const int32_t* order, int64_t count, T latest,
                                          const T* __restrict out, const T* __restrict q) {
  for (int64_t k = 0; k < count; ++k) {
    const T t = times[k];
    if (t >= latest) return;
    T* __restrict row = sum + order[k] * stride;
    for (int o = 0; o < W; ++o) {
      const T x = q[o] * (t - out[o]);
      row[o] += t >= out[o] ? T(0) : x;
    }
  }
}

/// The same for the credit of the row's arrivals.
template <class T, int W>
ALTPROP_VECTORISED void add_arrivals_credit(T* __restrict credit, const T* __restrict weight,
                                            int64_t stride, const T* times, const int32_t* order,
                                            int64_t count, T latest, const T* __restrict out,
                                            const T* __restrict q) {
  for (int64_t k = 0; k < count; ++k) {
    const T t = times[k];
    if (t >= latest) return;
    const T* __restrict w = weight + order[k] * stride;
    alignas(64) T terms[W], sums[kLanes];
    for (int o = 0; o < W; ++o) terms[o] = t >= out[o] ? T(0) : q[o] * w[o];
    for (int l = 0; l < kLanes; ++l) {
      sums[l] = terms[l];
      for (int o = kLanes; o < W; o += kLanes) sums[l] += terms[o + l];
    }
    T sum = 0;
    for (int l = 0; l < kLanes; ++l) sum += sums[l];
    credit[order[k]] += sum;
  }
}

/// [n_out, n_in] as rows of inputs, padded with zeros to whole lanes.
template <class T>
Tensor by_input(const Tensor& weight, int64_t stride) {
  if (weight.size(0) == stride) return weight.t().contiguous();
  Tensor out = at::zeros({weight.size(1), stride}, weight.options());
  out.narrow(1, 0, weight.size(0)).copy_(weight.t());
  return out;
}

int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

/// Calls f(first column, width) for the tiles of a row; width is kWide or kLanes.
template <class F>
void for_tiles(int64_t stride, int64_t from, int64_t to, F&& f) {
  for (int64_t tile = from; tile < to; ++tile) {
    const int64_t begin = tile * kWide, left = stride - begin;
    if (left >= kWide) {
      f(begin, kWide);
    } else {
      for (int64_t o = begin; o < stride; o += kLanes) f(o, kLanes);
    }
  }
}

int64_t tiles_of(int64_t stride) { return (stride + kWide - 1) / kWide; }

/// Times and credits of a tile's outputs, padded; without credit at -inf.
template <class T>
struct TileCredit {
  alignas(64) T out[kWide], q[kWide];
  T latest;
  bool any;
  TileCredit(const T* times, const T* credits, int64_t begin, int64_t width, int64_t outputs) {
    latest = -kNever<T>;
    any = false;
    for (int64_t o = 0; o < width; ++o) {
      const bool here = begin + o < outputs && credits[begin + o] != 0;
      q[o] = here ? credits[begin + o] : T(0);
      out[o] = here ? times[begin + o] : -kNever<T>;
      if (here) latest = out[o] <= latest ? latest : out[o] > latest ? out[o] : kNever<T>;
      any |= here;
    }
  }
};

/// Work of a thread is worth some 50,000 multiply-adds.
int64_t grain(int64_t each) { return std::max<int64_t>(1, 50'000 / std::max<int64_t>(1, each)); }

template <class T>
Crossings crossings_of(const Tensor& arrivals, const Tensor& weight, const Tensor& thresholds) {
  const int64_t rows = arrivals.size(0), n = arrivals.size(1), m = weight.size(0),
                stride = padded(m);
  const Spikes<T> spikes = sorted<T>(arrivals);
  const Tensor turned = by_input<T>(weight, stride);
  const T* w = turned.const_data_ptr<T>();
  std::vector<T> reach(static_cast<size_t>(stride), kNever<T>);  // padding never fires
  const Tensor dense = thresholds.contiguous();
  std::copy_n(dense.const_data_ptr<T>(), m, reach.begin());
  Crossings out{at::empty({rows, m}, arrivals.options()), at::empty({rows, m}, arrivals.options())};
  T* times = out.times.mutable_data_ptr<T>();
  T* slopes = out.slopes.mutable_data_ptr<T>();
  const auto block = [&](int64_t tile_from, int64_t tile_to, int64_t row_from, int64_t row_to) {
    alignas(64) T t[kWide], s[kWide];
    for_tiles(stride, tile_from, tile_to, [&](int64_t begin, int64_t width) {
      for (int64_t r = row_from; r < row_to; ++r) {
        const int64_t count = spikes.count[static_cast<size_t>(r)];
        const T* seen = spikes.times.data() + r * n;
        const int32_t* order = spikes.order.data() + r * n;
        if (spikes.lost(r)) {
          std::fill_n(t, kWide, std::numeric_limits<T>::quiet_NaN());
          std::fill_n(s, kWide, std::numeric_limits<T>::quiet_NaN());
        } else if (width == kWide) {
          vectorised<cross<T, kWide>>(w + begin, stride, reach.data() + begin, seen, order, count,
                                      t, s);
        } else {
          vectorised<cross<T, kLanes>>(w + begin, stride, reach.data() + begin, seen, order, count,
                                       t, s);
        }
        const int64_t kept = std::min(width, m - begin);
        if (kept <= 0) continue;
        std::copy_n(t, kept, times + r * m + begin);
        std::copy_n(s, kept, slopes + r * m + begin);
      }
    });
  };
  at::parallel_for(0, rows, grain(n * m),
                   [&](int64_t from, int64_t to) { block(0, tiles_of(stride), from, to); });
  return out;
}

template <class T>
Tensor arrivals_credit_of(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                          const Tensor& weight) {
  const int64_t rows = arrivals.size(0), n = arrivals.size(1), m = weight.size(0),
                stride = padded(m);
  const Spikes<T> spikes = sorted<T>(arrivals);
  const Tensor turned = by_input<T>(weight, stride), out = times.contiguous(), by = q.contiguous();
  const T *w = turned.const_data_ptr<T>(), *t = out.const_data_ptr<T>(),
          *credits = by.const_data_ptr<T>();
  Tensor sum = at::zeros({rows, n}, arrivals.options());
  T* to = sum.mutable_data_ptr<T>();
  at::parallel_for(0, rows, grain(n * m), [&](int64_t from, int64_t end) {
    for_tiles(stride, 0, tiles_of(stride), [&](int64_t begin, int64_t width) {
      for (int64_t r = from; r < end; ++r) {
        const int64_t count = spikes.count[static_cast<size_t>(r)];
        if (count == 0) continue;
        const TileCredit<T> tile(t + r * m, credits + r * m, begin, width, m);
        if (!tile.any) continue;
        if (width == kWide) {
          vectorised<add_arrivals_credit<T, kWide>>(
              to + r * n, w + begin, stride, spikes.times.data() + r * n,
              spikes.order.data() + r * n, count, tile.latest, tile.out, tile.q);
        } else {
          vectorised<add_arrivals_credit<T, kLanes>>(
              to + r * n, w + begin, stride, spikes.times.data() + r * n,
              spikes.order.data() + r * n, count, tile.latest, tile.out, tile.q);
        }
      }
    });
  });
  return sum;
}

template <class T>
Tensor weight_credit_of(const Tensor& arrivals, const Tensor& times, const Tensor& q) {
  const int64_t rows = arrivals.size(0), n = arrivals.size(1), m = times.size(1),
                stride = padded(m);
  const Spikes<T> spikes = sorted<T>(arrivals);
  const Tensor out = times.contiguous(), by = q.contiguous();
  const T *t = out.const_data_ptr<T>(), *credits = by.const_data_ptr<T>();
  Tensor sum = at::zeros({n, stride}, arrivals.options());
  T* to = sum.mutable_data_ptr<T>();
  // By tile, so that every sum belongs to one thread and is made in one order.
  at::parallel_for(0, tiles_of(stride), grain(rows * n * kWide), [&](int64_t from, int64_t end) {
    for_tiles(stride, from, end, [&](int64_t begin, int64_t width) {
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t count = spikes.count[static_cast<size_t>(r)];
        if (count == 0) continue;
        const TileCredit<T> tile(t + r * m, credits + r * m, begin, width, m);
        if (!tile.any) continue;
        if (width == kWide) {
          vectorised<add_weight_credit<T, kWide>>(to + begin, stride, spikes.times.data() + r * n,
                                                  spikes.order.data() + r * n, count, tile.latest,
                                                  tile.out, tile.q);
        } else {
          vectorised<add_weight_credit<T, kLanes>>(to + begin, stride, spikes.times.data() + r * n,
                                                   spikes.order.data() + r * n, count, tile.latest,
                                                   tile.out, tile.q);
        }
      }
    });
  });
  return sum.narrow(1, 0, m).t().contiguous();
}

bool takes(const Tensor& arrivals, const Tensor& other) {
  return own_kernel_reaches(OwnKernel::SpikeEvents, arrivals) && other.device().is_cpu() &&
         arrivals.scalar_type() == other.scalar_type() && arrivals.numel() > 0 &&
         (arrivals.scalar_type() == at::kFloat || arrivals.scalar_type() == at::kDouble);
}

}  // namespace

Crossings first_crossings(const Tensor& arrivals, const Tensor& weight, const Tensor& thresholds) {
  if (!takes(arrivals, weight) || thresholds.scalar_type() != weight.scalar_type())
    return plain::first_crossings(arrivals, weight, thresholds);
  const Announced as("altprop::first_crossings", arrivals, weight);
  return arrivals.scalar_type() == at::kFloat ? crossings_of<float>(arrivals, weight, thresholds)
                                              : crossings_of<double>(arrivals, weight, thresholds);
}

Tensor arrivals_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                       const Tensor& weight) {
  if (!takes(arrivals, q)) return plain::arrivals_credit(arrivals, times, q, weight);
  const Announced as("altprop::arrivals_credit", arrivals, weight);
  return arrivals.scalar_type() == at::kFloat
             ? arrivals_credit_of<float>(arrivals, times, q, weight)
             : arrivals_credit_of<double>(arrivals, times, q, weight);
}

Tensor weight_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q) {
  if (!takes(arrivals, q)) return plain::weight_credit(arrivals, times, q);
  const Announced as("altprop::event_weight_credit", arrivals, q);
  return arrivals.scalar_type() == at::kFloat ? weight_credit_of<float>(arrivals, times, q)
                                              : weight_credit_of<double>(arrivals, times, q);
}

}  // namespace altprop::spiking
