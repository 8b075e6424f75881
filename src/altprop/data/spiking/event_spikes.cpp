#include "altprop/data/spiking/event_spikes.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace altprop::data {

spiking::SpikeLists spikes_of_events(const std::vector<std::vector<PixelEvent>>& recordings,
                                     const Sensor& sensor, double span) {
  std::vector<std::vector<std::pair<float, int32_t>>> rows;
  size_t most = 0;
  for (const std::vector<PixelEvent>& events : recordings) {
    auto& row = rows.emplace_back();
    const auto sooner = [](const PixelEvent& a, const PixelEvent& b) { return a.time < b.time; };
    const auto first = std::min_element(events.begin(), events.end(), sooner);
    for (const PixelEvent& event : events) {
      const double time = static_cast<double>(event.time - first->time) / span;
      if (time > 1) continue;
      const int64_t pixel = event.y * sensor.width + event.x;
      row.emplace_back(static_cast<float>(time),
                       static_cast<int32_t>(event.brighter * sensor.width * sensor.height + pixel));
    }
    std::sort(row.begin(), row.end());
    most = std::max(most, row.size());
  }
  const std::vector<int64_t> shape = {static_cast<int64_t>(rows.size()),
                                      static_cast<int64_t>(most)};
  spiking::SpikeLists out{at::full(shape, INFINITY), at::zeros(shape, at::kInt)};
  float* times = out.times.mutable_data_ptr<float>();
  int32_t* inputs = out.inputs.mutable_data_ptr<int32_t>();
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t k = 0; k < rows[r].size(); ++k)
      std::tie(times[r * most + k], inputs[r * most + k]) = rows[r][k];
  return out;
}

}  // namespace altprop::data
