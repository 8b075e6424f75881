// The spikes of each row of a batch side by side, silent inputs left out: what an event kernel
// visits.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/spiking/event_kernel.h"

namespace altprop::spiking {

template <class T>
constexpr T kNever = std::numeric_limits<T>::infinity();

/// The spikes of all rows.
template <class T>
struct Spikes {
  int64_t rows, most;          ///< `most` has room for a row's
  std::vector<T> times;        ///< [rows, most], `count` of each row
  std::vector<int32_t> order;  ///< the inputs that they are of
  std::vector<int32_t> count;
  /// Its times are all NaN, where one of them was.
  bool lost(int64_t row) const {
    const T first = times[static_cast<size_t>(row * most)];
    return count[static_cast<size_t>(row)] > 0 && first != first;
  }
};

/// A number whose order as an integer is that of times.
inline uint32_t key_of(float t) {
  const auto bits = std::bit_cast<uint32_t>(t);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

struct Scratch {
  std::vector<std::pair<double, int32_t>> pairs;
  std::vector<uint64_t> keys, other;
};

/// By time, equal times by their number: three passes of a radix sort.
inline void sort_keys(std::vector<uint64_t>& keys, std::vector<uint64_t>& other) {
  constexpr int kBits = 11, kBins = 1 << kBits;
  other.resize(keys.size());
  for (int pass = 0; pass < 3; ++pass) {
    const int shift = 32 + pass * kBits;
    std::array<uint32_t, kBins> begin{};
    for (const uint64_t key : keys) ++begin[key >> shift & (kBins - 1)];
    uint32_t sum = 0;
    for (uint32_t& bin : begin) sum += std::exchange(bin, sum);
    for (const uint64_t key : keys) other[begin[key >> shift & (kBins - 1)]++] = key;
    keys.swap(other);
  }
}

/// Sorts by time, equal times by their number. Where NaN is among them all count as NaN.
template <class T>
void sort_row(const T* arrivals, int64_t n, T* times, int32_t* order, int32_t& count,
              Scratch& scratch) {
  count = 0;
  bool lost = false;
  for (int64_t i = 0; i < n; ++i) {
    const T t = arrivals[i];
    lost |= !(t > -kNever<T>);
    order[count] = static_cast<int32_t>(i);
    count += t == kNever<T> ? 0 : 1;
  }
  if (lost) {
    std::fill_n(times, count, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  constexpr int32_t kFew = 100;
  if constexpr (std::is_same_v<T, float>)
    if (count > kFew) {
      scratch.keys.resize(static_cast<size_t>(count));
      for (int32_t k = 0; k < count; ++k)
        scratch.keys[static_cast<size_t>(k)] =
            uint64_t{key_of(arrivals[order[k]])} << 32 | static_cast<uint32_t>(order[k]);
      sort_keys(scratch.keys, scratch.other);
      for (int32_t k = 0; k < count; ++k) {
        order[k] = static_cast<int32_t>(scratch.keys[static_cast<size_t>(k)] & 0xffffffffu);
        times[k] = arrivals[order[k]];
      }
      return;
    }
  scratch.pairs.clear();
  for (int32_t k = 0; k < count; ++k) scratch.pairs.emplace_back(arrivals[order[k]], order[k]);
  std::sort(scratch.pairs.begin(), scratch.pairs.end());
  for (int32_t k = 0; k < count; ++k) {
    times[k] = static_cast<T>(scratch.pairs[static_cast<size_t>(k)].first);
    order[k] = scratch.pairs[static_cast<size_t>(k)].second;
  }
}

/// The same without the order, which derivatives do not need.
template <class T>
void list_row(const T* arrivals, int64_t n, T* times, int32_t* order, int32_t& count, Scratch&) {
  count = 0;
  bool lost = false;
  for (int64_t i = 0; i < n; ++i) {
    const T t = arrivals[i];
    lost |= !(t > -kNever<T>);
    order[count] = static_cast<int32_t>(i);
    times[count] = t;
    count += t == kNever<T> ? 0 : 1;
  }
  if (lost) std::fill_n(times, count, std::numeric_limits<T>::quiet_NaN());
}

/// Of every row, in its order or in that of the inputs.
template <class T, class Row>
Spikes<T> spikes_of(const Tensor& arrivals, Row&& row) {
  const Tensor dense = arrivals.contiguous();
  const int64_t rows = dense.size(0), n = dense.size(1);
  Spikes<T> out{rows, n};
  out.times.resize(static_cast<size_t>(rows * n));
  out.order.resize(static_cast<size_t>(rows * n));
  out.count.resize(static_cast<size_t>(rows));
  const T* from = dense.const_data_ptr<T>();
  at::parallel_for(0, rows, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, n)),
                   [&](int64_t begin, int64_t end) {
                     Scratch scratch;
                     std::vector<T> times(static_cast<size_t>(n + 1));
                     std::vector<int32_t> order(static_cast<size_t>(n + 1));
                     for (int64_t r = begin; r < end; ++r) {
                       int32_t& count = out.count[static_cast<size_t>(r)];
                       row(from + r * n, n, times.data(), order.data(), count, scratch);
                       std::copy_n(times.data(), count, out.times.data() + r * n);
                       std::copy_n(order.data(), count, out.order.data() + r * n);
                     }
                   });
  return out;
}

/// Of lists, which are in their order. @param inputs that they may be of. @throws UsageError for
/// others
template <class T>
Spikes<T> spikes_of(const SpikeLists& lists, int64_t inputs) {
  const Tensor times = lists.times.contiguous(), which = lists.inputs.to(at::kInt).contiguous();
  Spikes<T> out{times.size(0), times.size(1)};
  const T* from = times.const_data_ptr<T>();
  const int32_t* order = which.const_data_ptr<int32_t>();
  out.times.assign(from, from + times.numel());
  out.order.assign(order, order + times.numel());
  for (int64_t r = 0; r < out.rows; ++r, from += out.most, order += out.most) {
    int32_t count = 0;
    bool lost = false;
    for (int64_t k = 0; k < out.most && from[k] != kNever<T>; ++k, ++count) {
      lost |= !(from[k] > -kNever<T>);
      if (order[k] < 0 || order[k] >= inputs)
        throw UsageError(text::cat("spikes: row ", r, " has one of input ", order[k],
                                   ", but the weights are of ", inputs));
      if (k > 0 && from[k] < from[k - 1])
        throw UsageError(text::cat("spikes: those of row ", r,
                                   " are not in the order of their times; sort them"));
    }
    if (lost)
      std::fill_n(out.times.begin() + r * out.most, count, std::numeric_limits<T>::quiet_NaN());
    out.count.push_back(count);
  }
  return out;
}

}  // namespace altprop::spiking
