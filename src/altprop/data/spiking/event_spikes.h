// Recordings of event cameras as lists of spikes, every event one: no frame is made of them, and a
// pixel that changes again comes again.
#pragma once

#include "altprop/data/spiking/event_stream.h"
#include "altprop/spiking/event_kernel.h"

namespace altprop::data {

/// A row for each recording. Inputs are numbered as the values of first_spike_view in a row: what
/// darkens, then what brightens, by y and x. Times are float32, (t - first) / span with `first` the
/// recording's first event; later ones than the span are left out.
/// @param recordings events in any order @param span microseconds, positive
spiking::SpikeLists spikes_of_events(const std::vector<std::vector<PixelEvent>>& recordings,
                                     const Sensor& sensor, double span);

}  // namespace altprop::data
