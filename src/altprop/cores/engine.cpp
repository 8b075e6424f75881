#include "altprop/cores/engine.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/cores/float_engine.h"
#include "altprop/cores/member.h"
#include "altprop/cores/popcount_engine.h"

namespace altprop::cores {

void Engine::add(const Mapping& member) {
  if (members_ == kMembersAtOnce)
    throw Error(text::cat("cores: an engine has ", kMembersAtOnce, " members at most"));
  expect_drawn(member, "a member has");
  take(member);
  ++members_;
}

std::unique_ptr<Engine> make_engine(EngineKind kind, const Mapping& mapping) {
  if (kind == EngineKind::Float) return std::make_unique<FloatEngine>(mapping);
  return std::make_unique<PopcountEngine>(mapping);
}

std::vector<int> run_plainly(const Mapping& drawn, const std::vector<int>& spikes) {
  std::vector<std::vector<int>> fired;
  for (const MappedCore& core : drawn.cores) {
    const float* c = core.connections.const_data_ptr<float>();
    std::vector<int>& out = fired.emplace_back();
    for (size_t j = 0; j < core.strengths.size(); ++j) {
      double sum = core.leaks[j];
      for (size_t i = 0; i < core.axons.size(); ++i) {
        const AxonSource& from = core.axons[i];
        if (from.index < 0) continue;
        const int spike =
            from.core < 0 ? spikes[static_cast<size_t>(from.index)]
                          : fired[static_cast<size_t>(from.core)][static_cast<size_t>(from.index)];
        if (spike && c[j * core.axons.size() + i] > 0)
          sum += core.strengths[j][static_cast<size_t>(core.types[i])];
      }
      out.push_back(drawn.fire_on_zero ? sum >= 0 : sum > 0);
    }
  }
  std::vector<int> out;
  for (const Vote& vote : drawn.votes)
    out.push_back(fired[static_cast<size_t>(vote.core)][static_cast<size_t>(vote.neuron)]);
  return out;
}

}  // namespace altprop::cores
