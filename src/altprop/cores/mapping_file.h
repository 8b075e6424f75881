// Drawn networks as files that others can run: a documented JSON (docs/cores.md), and what the
// simulator of UA-RCL/RANC reads.
#pragma once

#include <string>

#include "altprop/cores/mapping.h"

namespace altprop::cores {

/// @param drawn with connections of 0 and 1 and whole leaks. @throws Error for another
std::string mapping_text(const Mapping& drawn);
/// The other way round. @param where names the text in errors
/// @throws Error saying what is wrong in the text; Refusal naming core, axon or neuron that no core
/// can have
Mapping read_mapping(const std::string& text, const std::string& where);

/// Spikes of an image as text: a character for each input, 0 or 1.
std::string spike_text(const std::vector<int>& spikes);

struct RancFiles {
  std::string input, config;
  int64_t layers = 0;  ///< ticks that a spike takes from its first core to the output bus
};

/// Cores for the simulator of https://github.com/UA-RCL/RANC (its JSON as of 2024): neurons that
/// forget their potential in every tick, the votes on the output bus in their order, image k in
/// tick k.
/// @param images by image the spikes of the inputs
/// @throws Refusal for cores that read others at different depths, whose spikes would not meet
RancFiles ranc_files(const Mapping& drawn, const std::vector<std::vector<int>>& images);

}  // namespace altprop::cores
