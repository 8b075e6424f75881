#include "altprop/train/solver_costs.h"

#include <algorithm>

#include "altprop/network/sites.h"

namespace altprop {

SolverCosts::SolverCosts(const Graph& net) {
  const Sites sites(net);
  for (const SiteInfo& site : sites.all()) {
    auto* block = dynamic_cast<ode::Block*>(site.node->op.get());
    const bool known = std::any_of(blocks_.begin(), blocks_.end(),
                                   [&](const Counted& one) { return one.block == block; });
    if (!block || known || !block->problem().sizes.is_adaptive()) continue;
    blocks_.push_back({site.name, block, std::make_shared<ode::Tally>()});
  }
  clear();
}

SolverCosts::Watch::Watch(const SolverCosts& costs) : costs_(costs) {
  for (const Counted& one : costs_.blocks_) one.block->count_into(one.tally);
}

SolverCosts::Watch::~Watch() {
  for (const Counted& one : costs_.blocks_) one.block->count_into(nullptr);
}

std::vector<std::pair<std::string, double>> SolverCosts::figures() const {
  std::vector<std::pair<std::string, double>> out;
  for (const Counted& one : blocks_) {
    const ode::Costs& forward = one.tally->forward;
    if (one.tally->passes == 0 || forward.sequences == 0) continue;
    const auto add = [&](const char* what, int64_t sum, int64_t over) {
      out.emplace_back(one.name + "." + what,
                       static_cast<double>(sum) / static_cast<double>(over));
    };
    add("steps", forward.accepted, forward.sequences);
    add("most_steps", forward.most, 1);
    add("rejected_steps", forward.rejected, forward.sequences);
    add("evaluations", forward.evaluations, one.tally->passes);
    add("backward_evaluations", one.tally->backward.evaluations, one.tally->passes);
  }
  return out;
}

void SolverCosts::clear() {
  for (Counted& one : blocks_) *one.tally = {.watch_noise = false};
}

void SolverCosts::state(StateIO io) {
  for (Counted& one : blocks_) {
    StateIO at = io.scope(one.name);
    if (at.is_loading() && !at.has("passes")) continue;  // from a version that did not count
    ode::Tally& tally = *one.tally;
    at.integer("passes", tally.passes);
    for (const auto& [name, costs] : {std::pair{"forward", &tally.forward}, {"backward", &tally.backward}}) {
      StateIO part = at.scope(name);
      part.integer("evaluations", costs->evaluations);
      part.integer("accepted", costs->accepted);
      part.integer("rejected", costs->rejected);
      part.integer("sequences", costs->sequences);
      part.integer("fewest", costs->fewest);
      part.integer("most", costs->most);
    }
  }
}

}  // namespace altprop
