#include "altprop/rules/equilibrium/settle_loop.h"

#include <algorithm>
#include <cmath>

namespace altprop {

namespace {

/// Cosine between the moves from a to b and from b to c; 0 where one of them is nothing.
double cosine_of_moves(const Field& a, const Field& b, const Field& c) {
  double dot = 0, first = 0, second = 0;
  for (size_t s = 0; s < a.size(); ++s) {
    if (!a[s].defined() || !a[s].is_floating_point()) continue;
    const Tensor earlier = b[s] - a[s], later = c[s] - b[s];
    dot += (earlier * later).sum().item<double>();
    first += earlier.square().sum().item<double>();
    second += later.square().sum().item<double>();
  }
  return first > 0 && second > 0 ? dot / std::sqrt(first) / std::sqrt(second) : 0;
}

}  // namespace

Settled settle_loop(const StopWhen& stop, const std::function<double(bool)>& step,
                    const std::function<Field()>& copy) {
  Settled out;
  Field before, between;
  while (out.steps < stop.steps) {
    const bool last = out.steps + 1 == stop.steps;
    const bool look =
        stop.tolerance > 0 && (out.steps + 1) % std::max<int64_t>(1, stop.check_every) == 0;
    if (stop.turn) {
      before = std::move(between);
      between = copy();
    }
    out.residual = step(last || look);
    ++out.steps;
    if (look && out.residual < stop.tolerance) break;
  }
  if (!before.empty()) out.turn = cosine_of_moves(before, between, copy());
  return out;
}

}  // namespace altprop
