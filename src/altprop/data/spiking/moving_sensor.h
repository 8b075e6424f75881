// An ideal event camera in front of a picture that moves as those of N-MNIST do: three straight
// saccades along a triangle (Orchard et al. 2015, arXiv 1507.07629). No noise, no dead time: a
// pixel sends an event whenever its log brightness has changed by the contrast since its last one.
#pragma once

#include "altprop/data/spiking/event_stream.h"

namespace altprop::data {

struct MovingSensor {
  Sensor sensor = kNMnistSensor;
  double contrast = 0.4;      ///< of log(brightness + floor) that makes an event, positive
  double floor = 0.2;         ///< brightness of what is black, white being 1 above it
  int64_t saccade = 100'000;  ///< microseconds of each of the three
  int64_t steps = 24;         ///< of the picture in each saccade; times between are interpolated
  double reach = 3;           ///< pixels of a saccade

  /// Events in the order of time, equal times by place. @param picture side x side bytes, 0 black
  std::vector<PixelEvent> watch(const uint8_t* picture, int64_t side) const;
};

}  // namespace altprop::data
