// What an event camera delivers: for every change of a pixel's brightness a place, a sign and a
// time (G. Orchard, A. Jayawant, G. Cohen, N. Thakor 2015, "Converting static image datasets to
// spiking neuromorphic datasets using saccades", arXiv 1507.07629).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop::data {

struct PixelEvent {
  int32_t x, y;
  bool brighter;  ///< "ON"
  int64_t time;   ///< microseconds, from any origin
  bool operator==(const PixelEvent&) const = default;
};

struct Sensor {
  int64_t width, height;
};
constexpr Sensor kNMnistSensor{34, 34};

/// A recording in the layout of N-MNIST: records of 5 bytes, x, y, then a bit of polarity and 23 of
/// microseconds, the highest byte first. y = 240 is no event but an overflow of the clock: all
/// times from there on are 2^13 us later.
/// @throws Error naming the file and the record for pixels outside of the sensor, a cut record, or
/// an empty file
std::vector<PixelEvent> read_nmnist(const std::string& path, const Sensor& sensor = kNMnistSensor);
/// The same bytes again, with overflows where times ask for them.
/// @throws UsageError for events that the layout has no place for
std::string nmnist_bytes(const std::vector<PixelEvent>& events);

/// When each pixel first changes, as intensities of a `latency` code: float32 [2, height, width],
/// what darkens first, then what brightens; 1 - (t - first)/span with `first` the recording's first
/// event, 0 where nothing happens or only later than the span.
/// @param span microseconds, positive
Tensor first_spike_view(const std::vector<PixelEvent>& events, const Sensor& sensor, double span);
/// How often each pixel changes: uint8 [2, height, width], at most 255.
Tensor count_view(const std::vector<PixelEvent>& events, const Sensor& sensor);

}  // namespace altprop::data
