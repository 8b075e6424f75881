#include "altprop/spiking/raster.h"

#include <algorithm>

namespace altprop::spiking {

std::vector<RasterRow> raster(const Graph& net, const Tensor& sample, int64_t most) {
  const auto shows = [](const Node& node) {
    return node.op && node.spec.kind == Kind::SpikeTime && !node.op->traits().rearranges;
  };
  std::vector<RasterRow> out;
  if (std::none_of(net.nodes().begin(), net.nodes().end(), shows) || sample.size(0) == 0)
    return out;
  Activity activity;
  net.run(sample, activity, {Mode::Eval}, {.keep_values = true});
  for (const Node& node : net.nodes()) {
    if (!shows(node)) continue;
    const Tensor times =
        activity.values[static_cast<size_t>(node.id)][0].flatten().to(at::kCPU, at::kDouble);
    RasterRow row{.name = node.name};
    const int64_t n = times.size(0), shown = std::min(n, most);
    for (int64_t k = 0; k < shown; ++k) {
      const int64_t unit = k * n / shown;
      row.units.push_back(unit);
      row.times.push_back(times[unit].item<double>());
    }
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace altprop::spiking
