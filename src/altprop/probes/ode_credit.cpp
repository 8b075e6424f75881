#include "altprop/probes/ode_credit.h"

#include <map>

#include "altprop/network/buffer_guard.h"
#include "altprop/ode/block.h"

namespace altprop {

namespace {

/// Number of the site, number of the evaluation.
using Place = std::pair<int, int>;

/// The block that the site is a part of; null if it is in none, or in one inside of another.
const ode::Block* block_around(const Site& site) {
  const ode::Block* found = nullptr;
  for (const Site* around = site.around; around; around = around->around)
    if (const auto* block = dynamic_cast<const ode::Block*>(around->node.op.get())) {
      if (found) return nullptr;
      found = block;
    }
  return found;
}

/// The first signal of each place. Those of a tangent are of another kind of credit.
struct CreditTaker : Sink {
  struct Taken {
    std::string name;
    int stages;
    Tensor cot;
  };
  std::map<Place, Taken> found;

  void take(const LocalSignal& signal) override {
    if (!signal.site || signal.input.defined() || !signal.tangents.empty()) return;
    if (const ode::Block* block = block_around(*signal.site))
      found.try_emplace({signal.site->number, signal.site->use},
                        Taken{signal.site->name(), block->solver().stages(),
                              (signal.cot * signal.scale).to(at::kDouble)});
  }
  void take(const ParamSignal&) override {}
};

template <class Pass>
std::map<Place, CreditTaker::Taken> credits_of(Rule& rule, Pass pass) {
  BufferGuard buffers(rule.net());
  CreditTaker taker;
  pass(taker);
  return std::move(taker.found);
}

}  // namespace

std::vector<OdeCreditRow> compare_ode_credit(Rule& rule, const Step& step) {
  if (ode::blocks_of(rule.net()).empty()) return {};
  const ode::ExactGradients same_evaluations(rule.net());
  const auto found = credits_of(rule, [&](Sink& sink) {
    Step own = Step::look_at(step, step.targets);
    rule.assign(own, sink);
  });
  const auto exact = credits_of(rule, [&](Sink& sink) {
    rule.reference(Step::look_at(step, step.targets), rule.objective(step), sink);
  });
  std::vector<OdeCreditRow> rows;
  for (const auto& [place, taken] : found)
    if (const auto right = exact.find(place);
        right != exact.end() && right->second.cot.sizes() == taken.cot.sizes())
      rows.push_back({taken.name, place.second / taken.stages, place.second % taken.stages,
                      similarity(taken.cot, right->second.cot)});
  return rows;
}

}  // namespace altprop
