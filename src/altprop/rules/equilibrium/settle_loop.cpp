#include "altprop/rules/equilibrium/settle_loop.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

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

Settled settle_loop(const StopWhen& stop, const std::function<double(int64_t steps)>& advance,
                    const std::function<Field()>& copy) {
  Settled out;
  Field before, between;
  const int64_t every = stop.tolerance > 0 ? std::max<int64_t>(1, stop.check_every) : stop.steps;
  while (out.steps < stop.steps) {
    int64_t taken = std::min(every - out.steps % every, stop.steps - out.steps);
    if (stop.turn) {
      before = std::move(between);
      between = copy();
      taken = 1;
    }
    out.residual = advance(taken);
    out.steps += taken;
    if (out.residual < stop.tolerance && out.steps % every == 0) break;
  }
  if (!before.empty()) out.turn = cosine_of_moves(before, between, copy());
  return out;
}

void require_steps(int64_t least, const std::vector<std::pair<std::string, int64_t>>& phases,
                   const std::string& reason) {
  for (const auto& [name, steps] : phases)
    if (steps < least)
      throw Refusal(text::cat(name, "=", steps), reason,
                    text::cat("use at least ", name, "=", least));
}

}  // namespace altprop
