#include "altprop/spiking/event_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "altprop/spiking/event_plain.h"
#include "altprop/spiking/spike_lists.h"
#include "altprop/tensor/announced.h"
#include "altprop/tensor/vectorised.h"

namespace altprop::spiking {

namespace {

constexpr int kLanes = 16;  ///< columns of weights are padded to a multiple of it
constexpr int kWide = 64;   ///< outputs of a tile, whose weights stay in the cache for all rows
constexpr int kAhead = 4;   ///< spikes whose weights are fetched ahead
constexpr int kLook = 8;    ///< spikes after which is looked whether all of a tile have fired
constexpr int kWidest = 64, kNarrow = 32;  ///< bytes of a register, with AVX-512 and without

#define ALTPROP_INLINE_LANES inline __attribute__((always_inline))
#define ALTPROP_UNROLLED _Pragma("GCC unroll 16")

/// Numbers side by side, as the compiler keeps them in registers.
template <class T, int Bytes>
struct LanesOf {
  typedef T type __attribute__((vector_size(Bytes)));  // an alias would lose the attribute
};

template <class V, class T>
ALTPROP_INLINE_LANES void load(V& lanes, const T* from) {
  std::memcpy(&lanes, from, sizeof lanes);
}

/// One row through the outputs of a tile. Times count from the row's first spike, which keeps the
/// digits of small differences. A unit that has fired stands still: its potential and slope are
/// those at its spike.
/// @tparam Bytes of a register @param weight the tile's first column of [inputs, stride]
template <class T, int W, int Bytes>
ALTPROP_VECTORISED void cross(const T* __restrict weight, int64_t stride,
                              const T* __restrict threshold, const T* times, const int32_t* order,
                              int64_t count, T* __restrict out, T* __restrict slopes) {
  using V = typename LanesOf<T, Bytes>::type;
  constexpr int kEach = Bytes / sizeof(T), N = W / kEach;
  const V zero = {}, never = zero + kNever<T>;
  V v[N], a[N], spike[N], reach[N];
  ALTPROP_UNROLLED
  for (int n = 0; n < N; ++n) {
    v[n] = a[n] = zero;
    spike[n] = never;
    load(reach[n], threshold + n * kEach);
  }
  const T first = count > 0 ? times[0] : T(0);
  for (int64_t k = 0; k < count; ++k) {
    const T* __restrict w = weight + order[k] * stride;
    // Which rows come is known, and the processor cannot guess it.
    if (k + kAhead < count) __builtin_prefetch(weight + order[k + kAhead] * stride);
    const T t = times[k] - first;
    ALTPROP_UNROLLED
    for (int n = 0; n < N; ++n) {
      V here;
      load(here, w + n * kEach);
      a[n] += spike[n] == never ? here : zero;
    }
    const V now = zero + t;
    if (k + 1 == count) {
      ALTPROP_UNROLLED
      for (int n = 0; n < N; ++n)
        spike[n] = (spike[n] == never) & ~(a[n] <= zero) & (reach[n] < never) ? now : spike[n];
      break;
    }
    const T gap = (times[k + 1] - first) - t;
    if (!(gap > 0)) continue;  // they come at the same time
    ALTPROP_UNROLLED
    for (int n = 0; n < N; ++n) {
      const V next = v[n] + a[n] * gap;
      const auto alive = spike[n] == never;
      const auto fires = alive & ~(next < reach[n]);  // NaN fires, so that it shows
      spike[n] = fires ? now : spike[n];
      v[n] = alive & ~fires ? next : v[n];
    }
    if (k % kLook != kLook - 1) continue;
    auto alive = (spike[0] == never) & (reach[0] < never);
    ALTPROP_UNROLLED
    for (int n = 1; n < N; ++n) alive |= (spike[n] == never) & (reach[n] < never);
    bool any = false;
    for (int l = 0; l < kEach; ++l) any |= alive[l] != 0;
    if (!any) break;
  }
  ALTPROP_UNROLLED
  for (int n = 0; n < N; ++n) {
    const V fired = spike[n] == never ? zero : a[n];
    const V lost = fired - fired;  // nothing, but NaN of an infinite slope
    const V time = first + (spike[n] + (reach[n] - v[n]) / fired) + lost, slope = fired + lost;
    // Of a silent unit a quotient by 0, of a potential that may be infinite.
    const V known = spike[n] == never ? never : time;
    std::memcpy(out + n * kEach, &known, sizeof known);
    std::memcpy(slopes + n * kEach, &slope, sizeof slope);
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
    if (t >= latest) continue;
    T* __restrict row = sum + order[k] * stride;
    for (int o = 0; o < W; ++o) {
      const T x = q[o] * (t - out[o]);
      row[o] += t >= out[o] ? T(0) : x;
    }
  }
}

/// The same for the credit of the row's arrivals. @param slot of each spike: where its credit goes
template <class T, int W>
ALTPROP_VECTORISED void add_arrivals_credit(T* __restrict credit, const T* __restrict weight,
                                            int64_t stride, const T* times, const int32_t* order,
                                            const int32_t* slot, int64_t count, T latest,
                                            const T* __restrict out,
                                            const T* __restrict q) {
  for (int64_t k = 0; k < count; ++k) {
    const T t = times[k];
    if (t >= latest) continue;
    const T* __restrict w = weight + order[k] * stride;
    alignas(64) T terms[W], sums[kLanes];
    for (int o = 0; o < W; ++o) terms[o] = t >= out[o] ? T(0) : q[o] * w[o];
    for (int l = 0; l < kLanes; ++l) {
      sums[l] = terms[l];
      for (int o = kLanes; o < W; o += kLanes) sums[l] += terms[o + l];
    }
    T sum = 0;
    for (int l = 0; l < kLanes; ++l) sum += sums[l];
    credit[slot[k]] += sum;
  }
}

/// Work of a thread is worth some 50,000 multiply-adds.
int64_t grain(int64_t each) { return std::max<int64_t>(1, 50'000 / std::max<int64_t>(1, each)); }

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

/// [n_out, n_in] tile after tile, each [n_in, width], so that what a spike reaches lies side by
/// side; padded with zeros.
template <class T>
std::vector<T> by_tile(const Tensor& weight, int64_t stride) {
  const Tensor dense = weight.contiguous();
  const int64_t m = dense.size(0), n = dense.size(1);
  const T* from = dense.const_data_ptr<T>();
  std::vector<T> out(static_cast<size_t>(n * stride));
  at::parallel_for(0, (stride + kWide - 1) / kWide, grain(n * kWide), [&](int64_t a, int64_t b) {
    for_tiles(stride, a, b, [&](int64_t begin, int64_t width) {
      T* tile = out.data() + begin * n;
      const int64_t kept = std::min(width, m - begin);
      for (int64_t i = 0; i < n; i += kLanes)
        for (int64_t o = 0; o < kept; ++o)
          for (int64_t l = i; l < std::min<int64_t>(n, i + kLanes); ++l)
            tile[l * width + o] = from[(begin + o) * n + l];
    });
  });
  return out;
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

template <class T, class... Operands>
void cross_tile(int64_t width, Operands... o) {
  const bool widest = instructions_now() == Instructions::Avx512;
  if (width == kWide) {
    widest ? vectorised<cross<T, kWide, kWidest>>(o...)
           : vectorised<cross<T, kWide, kNarrow>>(o...);
  } else {
    widest ? vectorised<cross<T, kLanes, kWidest>>(o...)
           : vectorised<cross<T, kLanes, kNarrow>>(o...);
  }
}

template <class T>
Crossings crossings_of(const Spikes<T>& spikes, const Tensor& weight, const Tensor& thresholds) {
  const int64_t rows = spikes.rows, n = weight.size(1), m = weight.size(0), stride = padded(m);
  const std::vector<T> turned = by_tile<T>(weight, stride);
  std::vector<T> reach(static_cast<size_t>(stride), kNever<T>);  // padding never fires
  const Tensor dense = thresholds.contiguous();
  std::copy_n(dense.const_data_ptr<T>(), m, reach.begin());
  Crossings out{at::empty({rows, m}, weight.options()), at::empty({rows, m}, weight.options())};
  T* times = out.times.mutable_data_ptr<T>();
  T* slopes = out.slopes.mutable_data_ptr<T>();
  const auto block = [&](int64_t tile_from, int64_t tile_to, int64_t row_from, int64_t row_to) {
    alignas(64) T t[kWide], s[kWide];
    for_tiles(stride, tile_from, tile_to, [&](int64_t begin, int64_t width) {
      for (int64_t r = row_from; r < row_to; ++r) {
        const int64_t count = spikes.count[static_cast<size_t>(r)];
        const T* seen = spikes.times.data() + r * spikes.most;
        const int32_t* order = spikes.order.data() + r * spikes.most;
        if (spikes.lost(r)) {
          std::fill_n(t, kWide, std::numeric_limits<T>::quiet_NaN());
          std::fill_n(s, kWide, std::numeric_limits<T>::quiet_NaN());
        } else {
          cross_tile<T>(width, turned.data() + begin * n, width, reach.data() + begin, seen, order,
                        count, t, s);
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

/// @param slots null: the credit of a spike is its input's
/// @returns [R, credits_of_row]
template <class T>
Tensor arrivals_credit_of(const Spikes<T>& spikes, const Tensor& times, const Tensor& q,
                          const Tensor& weight, const int32_t* slots, int64_t credits_of_row) {
  const int64_t rows = spikes.rows, n = weight.size(1), m = weight.size(0), stride = padded(m);
  const std::vector<T> turned = by_tile<T>(weight, stride);
  const Tensor out = times.contiguous(), by = q.contiguous();
  const T *t = out.const_data_ptr<T>(), *credits = by.const_data_ptr<T>();
  Tensor sum = at::zeros({rows, credits_of_row}, weight.options());
  T* to = sum.mutable_data_ptr<T>();
  at::parallel_for(0, rows, grain(n * m), [&](int64_t from, int64_t end) {
    for_tiles(stride, 0, tiles_of(stride), [&](int64_t begin, int64_t width) {
      for (int64_t r = from; r < end; ++r) {
        const int64_t count = spikes.count[static_cast<size_t>(r)];
        if (count == 0) continue;
        const TileCredit<T> tile(t + r * m, credits + r * m, begin, width, m);
        if (!tile.any) continue;
        const T* seen = spikes.times.data() + r * spikes.most;
        const int32_t* order = spikes.order.data() + r * spikes.most;
        const int32_t* slot = slots ? slots : order;
        T* credit = to + r * credits_of_row;
        if (width == kWide) {
          vectorised<add_arrivals_credit<T, kWide>>(credit, turned.data() + begin * n, width, seen,
                                                    order, slot, count, tile.latest, tile.out,
                                                    tile.q);
        } else {
          vectorised<add_arrivals_credit<T, kLanes>>(credit, turned.data() + begin * n, width, seen,
                                                     order, slot, count, tile.latest, tile.out,
                                                     tile.q);
        }
      }
    });
  });
  return sum;
}

/// Rows of a tile's sums [inputs, width] as columns of the gradient.
template <class T>
void put_transposed(const T* tile, int64_t inputs, int64_t width, int64_t kept, T* out) {
  for (int64_t from = 0; from < inputs; from += kLanes) {
    const int64_t end = std::min<int64_t>(inputs, from + kLanes);
    for (int64_t o = 0; o < kept; ++o)
      for (int64_t i = from; i < end; ++i) out[o * inputs + i] = tile[i * width + o];
  }
}

/// @param n number of inputs
template <class T>
Tensor weight_credit_of(const Spikes<T>& spikes, const Tensor& times, const Tensor& q, int64_t n) {
  const int64_t rows = spikes.rows, m = times.size(1), stride = padded(m);
  const Tensor out = times.contiguous(), by = q.contiguous();
  const T *t = out.const_data_ptr<T>(), *credits = by.const_data_ptr<T>();
  Tensor sum = at::empty({m, n}, times.options());
  T* to = sum.mutable_data_ptr<T>();
  // By tile, so that every sum belongs to one thread and is made in one order.
  at::parallel_for(0, tiles_of(stride), grain(rows * n * kWide), [&](int64_t from, int64_t end) {
    std::vector<T> tile(static_cast<size_t>(n * kWide));
    for_tiles(stride, from, end, [&](int64_t begin, int64_t width) {
      const int64_t kept = std::min(width, m - begin);
      if (kept <= 0) return;
      std::fill_n(tile.begin(), n * width, T(0));
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t count = spikes.count[static_cast<size_t>(r)];
        if (count == 0) continue;
        const TileCredit<T> credit(t + r * m, credits + r * m, begin, width, m);
        if (!credit.any) continue;
        const T* seen = spikes.times.data() + r * spikes.most;
        const int32_t* which = spikes.order.data() + r * spikes.most;
        if (width == kWide) {
          vectorised<add_weight_credit<T, kWide>>(tile.data(), width, seen, which, count,
                                                  credit.latest, credit.out, credit.q);
        } else {
          vectorised<add_weight_credit<T, kLanes>>(tile.data(), width, seen, which, count,
                                                   credit.latest, credit.out, credit.q);
        }
      }
      put_transposed(tile.data(), n, width, kept, to + begin * n);
    });
  });
  return sum;
}

bool takes(const Tensor& arrivals, const Tensor& other) {
  return own_kernel_reaches(OwnKernel::SpikeEvents, arrivals) && other.device().is_cpu() &&
         arrivals.scalar_type() == other.scalar_type() && arrivals.numel() > 0 &&
         (arrivals.scalar_type() == at::kFloat || arrivals.scalar_type() == at::kDouble);
}

/// Calls f with a number of the type of `like`, float or double.
template <class F>
auto by_width(const Tensor& like, F&& f) {
  return like.scalar_type() == at::kFloat ? f(0.0f) : f(0.0);
}

}  // namespace

Crossings first_crossings(const Tensor& arrivals, const Tensor& weight, const Tensor& thresholds) {
  if (!takes(arrivals, weight) || thresholds.scalar_type() != weight.scalar_type())
    return plain::first_crossings(arrivals, weight, thresholds);
  const Announced as("altprop::first_crossings", arrivals, weight);
  return by_width(arrivals, [&](auto number) {
    using T = decltype(number);
    return crossings_of(spikes_of<T>(arrivals, sort_row<T>), weight, thresholds);
  });
}

Tensor arrivals_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q,
                       const Tensor& weight) {
  if (!takes(arrivals, q)) return plain::arrivals_credit(arrivals, times, q, weight);
  const Announced as("altprop::arrivals_credit", arrivals, weight);
  return by_width(arrivals, [&](auto number) {
    using T = decltype(number);
    return arrivals_credit_of(spikes_of<T>(arrivals, list_row<T>), times, q, weight, nullptr,
                              arrivals.size(1));
  });
}

Tensor weight_credit(const Tensor& arrivals, const Tensor& times, const Tensor& q) {
  if (!takes(arrivals, q)) return plain::weight_credit(arrivals, times, q);
  const Announced as("altprop::event_weight_credit", arrivals, q);
  return by_width(arrivals, [&](auto number) {
    using T = decltype(number);
    return weight_credit_of(spikes_of<T>(arrivals, list_row<T>), times, q, arrivals.size(1));
  });
}

Crossings first_crossings(const SpikeLists& spikes, const Tensor& weight,
                          const Tensor& thresholds) {
  if (!takes(spikes.times, weight) || thresholds.scalar_type() != weight.scalar_type())
    return plain::first_crossings(spikes, weight, thresholds);
  return by_width(weight, [&](auto number) {
    return crossings_of(spikes_of<decltype(number)>(spikes, weight.size(1)), weight, thresholds);
  });
}

Tensor arrivals_credit(const SpikeLists& spikes, const Tensor& times, const Tensor& q,
                       const Tensor& weight) {
  if (!takes(spikes.times, q)) return plain::arrivals_credit(spikes, times, q, weight);
  const int64_t most = spikes.times.size(1);
  std::vector<int32_t> slots(static_cast<size_t>(most));
  std::iota(slots.begin(), slots.end(), 0);
  return by_width(weight, [&](auto number) {
    return arrivals_credit_of(spikes_of<decltype(number)>(spikes, weight.size(1)), times, q, weight,
                              slots.data(), most);
  });
}

Tensor weight_credit(const SpikeLists& spikes, const Tensor& times, const Tensor& q,
                     int64_t inputs) {
  if (!takes(spikes.times, q)) return plain::weight_credit(spikes, times, q, inputs);
  return by_width(times, [&](auto number) {
    return weight_credit_of(spikes_of<decltype(number)>(spikes, inputs), times, q, inputs);
  });
}

}  // namespace altprop::spiking
