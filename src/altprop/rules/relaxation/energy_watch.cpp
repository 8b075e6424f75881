#include "altprop/rules/relaxation/energy_watch.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/text.h"

namespace altprop {

std::string EnergyRise::text() const {
  return text::cat("the energy rises during inference, first at step ", step, ", from ", before,
                   " to ", after, "; use a smaller pc.eta");
}

bool rises(const ValueRelaxation& values, double before, double after) {
  // The quick test first: rounding is a pass over all values.
  if (after <= before + 1e-12) return false;
  return !(after <= before + 1e-6 * std::abs(before) + values.energy_rounding(before));
}

std::optional<EnergyRise> first_rise(ValueRelaxation& values, int64_t steps,
                                     const std::function<void()>& step,
                                     const std::function<void(int64_t)>& seen) {
  std::optional<EnergyRise> out;
  values.refresh();
  double before = values.energy();
  for (int64_t t = 1; t <= steps; ++t) {
    step();
    values.refresh();
    const double after = values.energy();
    if (!out && rises(values, before, after)) out = {t, before, after};
    if (seen) seen(t);
    if (out && !seen) return out;
    before = after;
  }
  return out;
}

double settling_step(ValueRelaxation& values, int64_t steps, double most,
                     const std::function<void()>& begin, const std::function<void(double)>& step,
                     const std::function<double()>& curvature) {
  constexpr double kMargin = 0.97, kShorter = 0.85;
  begin();
  double eta = most;
  const double here = curvature();
  if (std::isfinite(here) && here > 0) eta = std::min(eta, kMargin * 2 / here);
  while (eta > 1e-3 * most) {
    begin();
    if (!first_rise(values, steps, [&] { step(eta); })) {
      // Values have moved, and with them the curvature.
      const double there = curvature();
      if (!(there * eta > 2)) return eta;
      eta = std::min(kShorter * eta, kMargin * 2 / there);
    } else {
      eta *= kShorter;
    }
  }
  return 0;
}

std::string rounded_down(double step) {
  if (!(step > 0)) return "0";
  const double unit = std::pow(10.0, std::floor(std::log10(step)) - 2);
  return text::cat(std::floor(step / unit * (1 + 1e-12)) * unit);
}

}  // namespace altprop
