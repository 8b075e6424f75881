#include "altprop/rules/perturbation/antithetic.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/init.h"

namespace altprop {

void AntitheticSettings::declare(Options& o) {
  o.integer("es.pairs", pairs, {.min = 1, .max = 1e6},
            {"pairs of opposite perturbations a step, two forward passes each"});
  o.number("es.sigma", sigma, {.min = 0, .max = 1e6, .min_excluded = true},
           {"standard deviation of a perturbation of each weight", "of the weights"});
  o.choice("es.directions", directions, {"gaussian", "orthogonal"},
           {"independent, or orthogonal to each other", "",
            "Choromanski et al. 2018, arXiv 1804.02395"});
  o.choice("es.shaping", shaping, {"raw", "standardised", "ranks"},
           {"what counts of the costs: they themselves, over their deviation, or their ranks", "",
            "Salimans et al. 2017, arXiv 1703.03864; Mania et al. 2018, arXiv 1803.07055"});
  o.integer("es.best", best, {.min = 0, .max = 1e6},
            {"only so many pairs count, those with the lowest cost; 0: all", "",
             "Mania et al. 2018, arXiv 1803.07055"});
}

void AntitheticSettings::check() const {
  if (best > pairs)
    throw UsageError(text::cat("es.best=", best, " of es.pairs=", pairs,
                               " pairs cannot count; make es.best smaller or 0"));
}

Tensor antithetic_directions(const AntitheticSettings& settings, int64_t n, const Stream& stream,
                             at::TensorOptions options) {
  if (settings.directions == "gaussian") return stream.normal({settings.pairs, n}, options);
  std::vector<Tensor> rows;
  for (int64_t first = 0; first < settings.pairs; first += n)
    rows.push_back(
        draw_orthogonal(std::min(n, settings.pairs - first), n, stream.at(first), options));
  return at::cat(rows).mul_(std::sqrt(static_cast<double>(n)));
}

namespace {

/// -1/2 for the lowest, 1/2 for the highest; equal costs share the mean of their ranks.
Tensor centred_ranks(const Tensor& costs) {
  const int64_t n = costs.numel();
  if (n < 2) return at::zeros_like(costs);
  const Tensor lower = costs.unsqueeze(1) > costs.unsqueeze(0);
  const Tensor equal = costs.unsqueeze(1) == costs.unsqueeze(0);
  const Tensor rank = lower.sum(1).to(at::kDouble) + (equal.sum(1).to(at::kDouble) - 1) / 2;
  return rank / static_cast<double>(n - 1) - 0.5;
}

}  // namespace

Tensor antithetic_weights(const AntitheticSettings& settings, const Tensor& above,
                          const Tensor& below) {
  Tensor costs = at::stack({above, below}).to(at::kDouble);  // [2, pairs]
  const int64_t k = settings.best > 0 ? settings.best : settings.pairs;
  if (!costs.isfinite().all().item<bool>()) return at::full({settings.pairs}, NAN, at::kDouble);
  Tensor counts = at::ones({settings.pairs}, at::kDouble);
  if (settings.best > 0) {
    counts.zero_();
    counts.index_fill_(0, std::get<0>(costs.min(0)).argsort().narrow(0, 0, k), 1);
  }
  if (settings.shaping == "ranks") costs = centred_ranks(costs.flatten()).view_as(costs);
  if (settings.shaping == "standardised") {
    const Tensor chosen = costs.masked_select(counts.to(at::kBool).expand_as(costs));
    const double deviation = chosen.std(false).item<double>();
    if (deviation > 0) costs = costs / deviation;
  }
  return (costs[0] - costs[1]) * counts / (2 * settings.sigma * static_cast<double>(k));
}

}  // namespace altprop
