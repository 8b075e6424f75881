// benchmarks/eager_spikes.py, eager_ode.py and eager.py, one behind the other, compiled in.
#pragma once

#include <string_view>

namespace altprop::bench {

extern const std::string_view eager_script;

}  // namespace altprop::bench
