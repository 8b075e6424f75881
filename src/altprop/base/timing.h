// Times and what is typical of many.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace altprop {

/// Seconds since some moment, by a clock that only goes forward.
inline double clock_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The larger of the two in the middle if there are two. @param values at least one
template <class T>
T median(std::vector<T> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace altprop
