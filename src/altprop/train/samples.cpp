#include "altprop/train/samples.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/data/augment.h"
#include "altprop/ode/flow.h"

namespace altprop {

namespace {

/// How much denser samples are as stored than as a network sees them.
double density_of_stored(const data::Dataset& data) {
  double out = 1;
  for (int64_t c = 0; c < data.channels(); ++c)
    out *= data.scale / (data.stddev.empty() ? 1 : data.stddev[static_cast<size_t>(c)]);
  return std::abs(out);
}

double rounded(double value) {
  if (!std::isfinite(value)) return 0;
  return value == 0 ? 0 : std::stod([&] {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", value);
    return std::string(text);
  }());
}

}  // namespace

Tensor samples_of(Experiment& experiment, int64_t n, uint64_t seed) {
  at::NoGradGuard no_grad;
  const Tensor x = ode::sample(experiment.net(), n, Stream(seed).at("sample"));
  if (!x.isfinite().all().item<bool>())
    throw Diverged(
        "a sample of the flow is not finite: integrated backwards, its equation is "
        "unstable; use smaller tolerances, or more training");
  const Tensor stored = data::as_stored(x, experiment.data().train);
  return ode::flow_of(experiment.net()).levels > 0 ? stored.round() : stored;
}

nlohmann::json density_map(Experiment& experiment, int64_t cells) {
  const data::Dataset& train = experiment.data().train;
  if (!experiment.loss().of_flows() || train.empty() ||
      train.sample_shape() != std::vector<int64_t>{2})
    return nullptr;
  at::NoGradGuard no_grad;
  constexpr int64_t kSamples = 400;
  constexpr double kBorder = 0.1;
  const Tensor all = train.inputs.to(at::kDouble);
  const Tensor low = std::get<0>(all.min(0)), high = std::get<0>(all.max(0));
  const Tensor width = (high - low).clamp_min(1e-9) * (1 + 2 * kBorder),
               from = low - (high - low) * kBorder;
  const Tensor steps = (at::arange(cells, at::kDouble) + 0.5) / double(cells);
  const Tensor x = (from[0] + width[0] * steps).view({1, cells}).expand({cells, cells}),
               y = (from[1] + width[1] * steps).view({cells, 1}).expand({cells, cells});
  const Tensor points = at::stack({x.flatten(), y.flatten()}, 1);
  Tensor density;
  try {
    std::vector<Tensor> parts;
    for (const Tensor& rows : data::normalised(points, train, at::kDouble).split(1000))
      parts.push_back(ode::log_density(experiment.net(), rows.to(experiment.net().options()))
                          .to(at::kCPU, at::kDouble)
                          .exp());
    density = at::cat(parts) * density_of_stored(train);
  } catch (const Diverged&) {
    return nullptr;
  }
  const double area = (width[0] * width[1]).item<double>() / double(cells * cells);
  nlohmann::json rows = nlohmann::json::array(), some = nlohmann::json::array();
  const Tensor grid = density.view({cells, cells}).contiguous();
  for (int64_t i = 0; i < cells; ++i) {
    nlohmann::json row = nlohmann::json::array();
    for (int64_t j = 0; j < cells; ++j) row.push_back(rounded(grid[i][j].item<double>()));
    rows.push_back(std::move(row));
  }
  for (int64_t i = 0; i < std::min(kSamples, train.size()); ++i)
    some.push_back({rounded(all[i][0].item<double>()), rounded(all[i][1].item<double>())});
  const Tensor to = from + width;
  return {{"from", {from[0].item<double>(), from[1].item<double>()}},
          {"to", {to[0].item<double>(), to[1].item<double>()}},
          {"density", std::move(rows)},
          {"samples", std::move(some)},
          {"integral", rounded(density.sum().item<double>() * area)}};
}

}  // namespace altprop
