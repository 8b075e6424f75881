#include "altprop/cores/member.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/tensor/random.h"

namespace altprop::cores {

Mapping draw_member(const Mapping& mapping, uint64_t seed, int64_t member, LeakMode leaks) {
  const Stream stream = Stream(seed).at("member").at(member);
  Mapping out = mapping;
  for (size_t k = 0; k < out.cores.size(); ++k) {
    MappedCore& core = out.cores[k];
    const Stream of_core = stream.at("core").at(static_cast<int64_t>(k));
    // Uniform numbers are below 1 and never below 0, so that 1 is always there and 0 never.
    core.connections = of_core.at("synapses")
                           .uniform(core.connections.sizes())
                           .lt(core.connections)
                           .to(at::kFloat);
    for (size_t j = 0; j < core.leaks.size(); ++j) {
      double& leak = core.leaks[j];
      if (leaks == LeakMode::Round) {
        leak = std::nearbyint(leak);
      } else {
        const double whole = std::floor(leak);
        leak = whole + (of_core.at("leaks").uniform_at(j) < leak - whole ? 1 : 0);
      }
    }
  }
  return out;
}

bool is_drawn(const Mapping& mapping) {
  return std::all_of(mapping.cores.begin(), mapping.cores.end(), [](const MappedCore& core) {
    const bool whole = std::all_of(core.leaks.begin(), core.leaks.end(),
                                   [](double leak) { return leak == std::floor(leak); });
    return whole && core.connections.eq(0).logical_or(core.connections.eq(1)).all().item<bool>();
  });
}

void expect_drawn(const Mapping& mapping, const char* what_has) {
  if (!is_drawn(mapping))
    throw Error(text::cat("cores: ", what_has,
                          " connections of 0 and 1 and whole leaks; draw it first"));
}

}  // namespace altprop::cores
