#include "altprop/rules/relaxation/integrators.h"

#include <algorithm>
#include <cmath>

namespace altprop {

namespace {

Field copy(const Field& field) {
  Field out;
  for (const Tensor& t : field) out.push_back(t.defined() ? t.clone() : t);
  return out;
}

Field mean(const Field& a, const Field& b) {
  Field out;
  for (size_t s = 0; s < a.size(); ++s)
    out.push_back(a[s].defined() ? (a[s] + b[s]).mul_(0.5) : Tensor());
  return out;
}

/// Root mean square of the error of a step over what is tolerated, of all states together.
double error_of(const Field& before, const Field& after, const Field& first, const Field& second,
                double step, double tolerance) {
  double sum = 0, count = 0;
  for (size_t s = 0; s < first.size(); ++s) {
    if (!first[s].defined()) continue;
    const Tensor allowed =
        at::maximum(before[s].abs(), after[s].abs()).mul_(tolerance).add_(tolerance);
    sum += ((second[s] - first[s]) * (step / 2)).div_(allowed).square_().sum().item<double>();
    count += static_cast<double>(first[s].numel());
  }
  return count > 0 ? std::sqrt(sum / count) : 0;
}

}  // namespace

void heun_step(ValueRelaxation& values, double step) {
  values.refresh();
  const Field start = copy(values.values()), first = values.forces();
  values.move(start, first, step);
  values.refresh();
  values.move(start, mean(first, values.forces()), step);
  values.refresh();
}

Integrated integrate(ValueRelaxation& values, const AdaptiveHeun& settings) {
  Integrated out;
  values.refresh();
  Field start = copy(values.values()), first = values.forces();
  double step = std::min(settings.first_step, settings.time), last_error = 1;
  while (out.time < settings.time && out.steps + out.rejected < settings.most_steps) {
    if (settings.at_rest > 0 && values.largest_force() < settings.at_rest) {
      out.whole = true;
      break;
    }
    step = std::min(step, settings.time - out.time);
    values.move(start, first, step);
    values.refresh();
    const Field second = values.forces();
    values.move(start, mean(first, second), step);
    const double error = error_of(start, values.values(), first, second, step, settings.tolerance);
    if (!std::isfinite(error)) {
      step *= 0.2;
      ++out.rejected;
    } else if (error > 1) {
      step *= std::max(0.2, 0.9 / std::sqrt(error));
      ++out.rejected;
    } else {
      out.time += step;
      ++out.steps;
      values.refresh();
      start = copy(values.values());
      first = values.forces();
      const double e = std::max(error, 1e-10);
      step *= std::clamp(0.9 * std::pow(e, -0.35) * std::pow(last_error, 0.2), 0.2, 5.0);
      last_error = e;
      continue;
    }
    values.move(start, first, 0);
  }
  out.whole |= out.time >= settings.time;
  values.refresh();
  return out;
}

}  // namespace altprop
