#include "altprop/data/spiking/event_stream.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

namespace {

constexpr size_t kRecord = 5;
constexpr uint64_t kLargestRecording = 1 << 26;  ///< bytes; those of N-MNIST have some 20,000
constexpr int kOverflowRow = 240;
constexpr int64_t kOverflow = 1 << 13;  ///< microseconds
constexpr int64_t kLargestTime = (1 << 23) - 1;

int64_t place_of(const PixelEvent& e, const Sensor& sensor) {
  return ((e.brighter ? 1 : 0) * sensor.height + e.y) * sensor.width + e.x;
}

}  // namespace

std::vector<PixelEvent> read_nmnist(const std::string& path, const Sensor& sensor) {
  InputFile file(path);
  const std::vector<uint8_t> bytes = file.rest(kLargestRecording);
  if (bytes.size() % kRecord != 0)
    file.fail(text::cat("has ", bytes.size(), " bytes, which are no whole records of ", kRecord,
                        "; it is truncated or not of the layout n-mnist"));
  std::vector<PixelEvent> out;
  out.reserve(bytes.size() / kRecord);
  int64_t later = 0;
  for (size_t at = 0; at < bytes.size(); at += kRecord) {
    const uint8_t* b = bytes.data() + at;
    if (b[1] == kOverflowRow) {
      later += kOverflow;
      continue;
    }
    if (b[0] >= sensor.width || b[1] >= sensor.height)
      file.fail(text::cat("has an event at x ", int{b[0]}, ", y ", int{b[1]}, " in record ",
                          at / kRecord, ", but the sensor has ", sensor.width, "x", sensor.height,
                          " pixels; it is damaged or not of the layout n-mnist"));
    const int64_t time = (int64_t{b[2]} & 0x7f) << 16 | int64_t{b[3]} << 8 | int64_t{b[4]};
    out.push_back({b[0], b[1], (b[2] & 0x80) != 0, time + later});
  }
  if (out.empty()) file.fail("has no events; it is damaged or not of the layout n-mnist");
  return out;
}

std::string nmnist_bytes(const std::vector<PixelEvent>& events) {
  std::string out;
  int64_t later = 0;
  const auto put = [&](int x, int y, int a, int b, int c) {
    for (const int byte : {x, y, a, b, c}) out += static_cast<char>(byte);
  };
  for (const PixelEvent& e : events) {
    if (e.x < 0 || e.x > 255 || e.y < 0 || e.y >= kOverflowRow || e.time < later)
      throw UsageError(text::cat("the layout n-mnist has no place for an event at x ", e.x, ", y ",
                                 e.y, ", ", e.time,
                                 " us; events are in the order of time, from 0 on"));
    while (e.time - later > kLargestTime) {
      put(0, kOverflowRow, 0, 0, 0);
      later += kOverflow;
    }
    const auto t = static_cast<int>(e.time - later);
    put(e.x, e.y, (e.brighter ? 0x80 : 0) | t >> 16, t >> 8 & 0xff, t & 0xff);
  }
  return out;
}

Tensor first_spike_view(const std::vector<PixelEvent>& events, const Sensor& sensor, double span) {
  if (!(span > 0)) throw UsageError("the span of a first-spike view must be positive");
  const Tensor out = at::zeros({2, sensor.height, sensor.width});
  if (events.empty()) return out;
  int64_t first = events[0].time;
  for (const PixelEvent& e : events) first = std::min(first, e.time);
  float* values = out.data_ptr<float>();
  for (const PixelEvent& e : events) {
    const auto seen = static_cast<float>(1 - static_cast<double>(e.time - first) / span);
    float& value = values[place_of(e, sensor)];
    value = std::max(value, seen);  // the earliest is the largest
  }
  return out;
}

Tensor count_view(const std::vector<PixelEvent>& events, const Sensor& sensor) {
  const Tensor out = at::zeros({2, sensor.height, sensor.width}, at::kByte);
  uint8_t* values = out.data_ptr<uint8_t>();
  for (const PixelEvent& e : events) {
    uint8_t& value = values[place_of(e, sensor)];
    if (value < 255) ++value;
  }
  return out;
}

}  // namespace altprop::data
