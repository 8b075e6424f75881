// Weights that a run starts from instead of drawn ones.
#pragma once

#include <string>

#include "altprop/network/graph.h"

namespace altprop {

/// Copies parameters and running statistics of a checkpoint, of what `altprop export` wrote or of
/// another program's safetensors file into a network. Names are the network's own, in checkpoints
/// with "net." before them; other entries are ignored, and floating-point numbers converted.
/// @param text of the network
/// @returns a sentence if the file says that its weights are of another network; else ""
/// @throws Error if the file is damaged, lacks some of them, or has them in another shape or not
/// finite; names which
std::string start_from(Graph& net, const std::string& path, const std::string& text);

}  // namespace altprop
