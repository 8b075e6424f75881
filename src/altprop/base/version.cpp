#include "altprop/base/version.h"

namespace altprop {

std::string version() { return ALTPROP_VERSION; }

}  // namespace altprop
