// Clocks of the benchmark.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace altprop::bench {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
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
