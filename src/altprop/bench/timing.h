// Clocks of the benchmark.
#pragma once

#include <time.h>

#include <algorithm>
#include <vector>

namespace altprop::bench {

/// What `now` reads: wall-clock time, or the processor time of this process, which other load on
/// the machine hardly changes and which is worth reading with a single thread only.
inline clockid_t clock_in_use = CLOCK_MONOTONIC;

/// Seconds since some moment.
inline double now() {
  timespec t{};
  clock_gettime(clock_in_use, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// The time that a tenth of the calls undercut or reach: what the call takes when nothing else
/// wants the processor, without trusting a single lucky clock reading of many.
inline double typical_best(std::vector<double> times) {
  const auto tenth = times.begin() + static_cast<std::ptrdiff_t>((times.size() - 1) / 10);
  std::nth_element(times.begin(), tenth, times.end());
  return *tenth;
}

/// Of as many calls as fit into `budget` seconds and at least `least` > 0.
template <class F>
double time_calls(F&& call, double budget, size_t least) {
  std::vector<double> times;
  const double end = now() + budget;
  while (times.size() < least || (now() < end && times.size() < 100000)) {
    const double begin = now();
    call();
    times.push_back(now() - begin);
  }
  return typical_best(std::move(times));
}

}  // namespace altprop::bench
