#include "altprop/train/samples.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/ode/flow.h"

namespace altprop {

namespace {

/// Of every channel: x = stored * factor - offset.
struct Normalised {
  std::vector<double> factor, offset;

  explicit Normalised(const data::Dataset& data) {
    for (int64_t c = 0; c < data.channels(); ++c) {
      const size_t at = static_cast<size_t>(c);
      const double mean = data.mean.empty() ? 0 : data.mean[at],
                   deviation = data.stddev.empty() ? 1 : data.stddev[at];
      factor.push_back(data.scale / deviation);
      offset.push_back(mean / deviation);
    }
  }
  static Tensor along(const std::vector<double>& values, const Tensor& like) {
    std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
    if (like.dim() > 1) shape[1] = static_cast<int64_t>(values.size());
    return at::tensor(values, at::kDouble).view(shape);
  }
  Tensor stored(const Tensor& x) const {
    return (x.to(at::kCPU, at::kDouble) + along(offset, x)) / along(factor, x);
  }
  Tensor seen(const Tensor& stored) const {
    return stored * along(factor, stored) - along(offset, stored);
  }
};

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
  return Normalised(experiment.data().train).stored(x);
}

nlohmann::json density_map(Experiment& experiment, int64_t cells) {
  const data::Dataset& train = experiment.data().train;
  if (!experiment.loss().of_flows() || train.empty() ||
      train.sample_shape() != std::vector<int64_t>{2})
    return nullptr;
  at::NoGradGuard no_grad;
  const Normalised scales(train);
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
    for (const Tensor& rows : scales.seen(points).split(1000))
      parts.push_back(ode::log_density(experiment.net(), rows.to(experiment.net().options()))
                          .to(at::kCPU, at::kDouble)
                          .exp());
    density = at::cat(parts) * std::abs(scales.factor[0] * scales.factor[1]);
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
