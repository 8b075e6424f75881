#include "altprop/network/signal.h"

#include <algorithm>

#include "altprop/network/graph.h"

namespace altprop {

void LocalSignal::accumulate(Store& store) const {
  if (!tangents.empty()) {
    if (only.empty()) return op->jvp_accumulate(*saved, tangents, cot, scale, store);
    OnlyOf some(store, only);
    return op->jvp_accumulate(*saved, tangents, cot, scale, some);
  }
  const Saved moved = input.defined() ? op->saved_for(input) : Saved();
  const Saved& seen = input.defined() ? moved : *saved;
  if (stand_in) {
    StandIn played(store, *op->weight(), *stand_in);
    op->accumulate(seen, cot, scale, played, &stand_in->value, shared);
  } else if (!only.empty()) {
    OnlyOf some(store, only);
    op->accumulate(seen, cot, scale, some, nullptr, shared);
  } else {
    op->accumulate(seen, cot, scale, store, nullptr, shared);
  }
}

bool LocalSignal::teaches(const Param& param) const {
  return only.empty() || std::find(only.begin(), only.end(), &param) != only.end();
}

Credits Feedback::pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
                       Sweep& sweep) {
  return site.node.op->credit(saved, cot, wanted, nullptr, sweep);
}

std::string Site::name() const { return around ? around->name() + "." + node.name : node.name; }

}  // namespace altprop
