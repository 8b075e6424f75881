// benchmarks/eager.py, compiled in.
#pragma once

#include <string_view>

namespace altprop::bench {

extern const std::string_view eager_script;

}  // namespace altprop::bench
