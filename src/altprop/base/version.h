#pragma once

#include <string>

namespace altprop {

/// Version of this library, e.g. "0.1.0".
std::string version();

}  // namespace altprop
