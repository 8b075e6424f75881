#include "altprop/ode/revolve.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace altprop::ode {

namespace {
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

/// The least r with beta(c, r) >= l.
int64_t repetitions(int64_t l, int64_t c) {
  int64_t r = 0;
  while (binomial_reach(c, r) < l) ++r;
  return r;
}
}  // namespace

int64_t binomial_reach(int64_t c, int64_t r) {
  if (r < 0 || c < 0) return 0;
  // The product of the fractions (c + r - k + 1) / k is whole after each of them.
  const int64_t few = std::min(c, r), all = c + r;
  __int128 out = 1;
  for (int64_t k = 1; k <= few; ++k) {
    out = out * (all - few + k) / k;
    if (out > kMost) return kMost;
  }
  return static_cast<int64_t>(out);
}

int64_t first_part(int64_t l, int64_t c) {
  const int64_t r = repetitions(l, c);
  return std::max({int64_t{1}, binomial_reach(c, r - 2), l - binomial_reach(c - 1, r)});
}

int64_t repeated_steps(int64_t l, int64_t c) {
  if (l < 2) return 0;
  if (c == 1) return l * (l - 1) / 2 - (l - 1);
  const int64_t r = repetitions(l, c);
  return r * l - binomial_reach(c + 1, r - 1) - (l - 1);
}

int64_t logarithmic_checkpoints(int64_t steps) {
  int64_t c = 1;
  while ((int64_t{1} << (c - 1)) < steps) ++c;
  return c;
}

Keeping::Keeping(int64_t steps, int64_t c) : steps_(steps), c_(c) {
  if (steps == 0) return;
  int64_t left = c > 0 ? c : logarithmic_checkpoints(steps);
  int64_t at = 0;
  planned_.push_back(0);
  while (left > 1 && steps - at > 1) {
    at += first_part(steps - at, left--);
    planned_.push_back(at);
  }
}

bool Keeping::keep(int64_t number) {
  if (steps_ > 0) {
    const bool planned = next_ < planned_.size() && planned_[next_] == number;
    next_ += planned ? 1 : 0;
    return planned;
  }
  if (number % distance_ != 0) return false;
  const int64_t most = c_ > 0 ? c_ : logarithmic_checkpoints(number + 1);
  kept_.push_back(number);
  while (static_cast<int64_t>(kept_.size()) > most) {
    distance_ *= 2;
    std::vector<int64_t> still;
    for (const int64_t one : kept_) (one % distance_ == 0 ? still : dropped_).push_back(one);
    kept_ = std::move(still);
  }
  return !kept_.empty() && kept_.back() == number;
}

std::vector<int64_t> Keeping::take_dropped() { return std::exchange(dropped_, {}); }

}  // namespace altprop::ode
