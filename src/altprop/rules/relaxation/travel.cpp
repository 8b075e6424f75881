#include "altprop/rules/relaxation/travel.h"

#include <cmath>

namespace altprop {

double Travel::left(int64_t hops) const {
  if (!in_one_sweep && hops > steps) return 0;
  if (steps == 0) return hops == 0 ? 1 : 0;
  const int64_t n = in_one_sweep ? steps + hops - 1 : steps;  // choose(n, hops) ways
  const int64_t stays = in_one_sweep ? steps : steps - hops;  // power of 1 - eta
  const double rest = 1 - eta;
  if (rest == 0) return stays == 0 ? 1 : 0;
  const double log =
      std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(hops) + 1) -
      std::lgamma(static_cast<double>(n - hops) + 1) + static_cast<double>(hops) * std::log(eta) +
      static_cast<double>(stays) * std::log(std::abs(rest));
  return (rest < 0 && stays % 2 ? -1 : 1) * std::exp(log);
}

double Travel::arrived(int64_t hops) const {
  if (steps == 0 || (!in_one_sweep && hops > steps)) return 0;
  double nearer = 0;  // what is still on its way
  for (int64_t j = 0; j < hops; ++j) nearer += left(j);
  if (nearer < 0.5 || eta > 1) return 1 - nearer;
  // Little has arrived: the difference from one would lose its digits, so sum the upper tail.
  const int64_t n = in_one_sweep ? steps + hops - 1 : steps;
  const Travel throws{eta, n, false};
  double tail = 0;
  for (int64_t m = hops; m <= n; ++m) {
    const double term = throws.left(m);
    tail += term;
    if (term < 1e-18 * tail) break;
  }
  return tail;
}

int64_t steps_for(double eta, bool in_one_sweep, int64_t hops, double share) {
  constexpr int64_t kMost = 1'000'000;
  auto enough = [&](int64_t steps) {
    return Travel{eta, steps, in_one_sweep}.arrived(hops) >= share;
  };
  int64_t high = 1;
  while (!enough(high)) {
    if (high >= kMost) return -1;
    high *= 2;
  }
  int64_t low = high / 2;  // not enough
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace altprop
