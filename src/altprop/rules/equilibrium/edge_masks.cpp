#include "altprop/rules/equilibrium/edge_masks.h"

#include "altprop/rules/equilibrium/fields.h"

namespace altprop {

EdgeMasks::EdgeMasks(const StateGraph& graph, const Stream& draws, int64_t rows, const RowIds& ids,
                     at::TensorOptions options)
    : masks_(graph.edges.size()) {
  for (size_t e = 0; e < masks_.size(); ++e)
    for (const Node& node : graph.edges[e].map.nodes()) {
      if (!node.op || !node.op->traits().masks) continue;
      std::vector<int64_t> shape = node.spec.shape;
      shape.insert(shape.begin(), rows);
      const Tensor mask = node.op->mask(draws.at(int64_t{node.draws}), ids, shape, options);
      if (mask.defined()) masks_[e].push_back({static_cast<size_t>(node.id), mask});
    }
}

Tensor EdgeMasks::run(size_t edge, const Graph& map, std::span<const Tensor> parents,
                      Activity& activity) const {
  if (!on(edge)) return map.run(parents, activity, {Mode::Eval});
  activity.saved.resize(map.nodes().size());
  for (Saved& saved : activity.saved) saved.clear();
  for (const Mask& mask : masks_[edge])
    activity.saved[mask.node] =
        map.nodes()[mask.node].op->saved_with(match_rows(mask.value, parents[0]));
  return map.run(parents, activity, {Mode::Replay});
}

template <class F>
EdgeMasks EdgeMasks::each(const F& change) const {
  EdgeMasks out = *this;
  for (std::vector<Mask>& edge : out.masks_)
    for (Mask& mask : edge) mask.value = change(mask.value);
  return out;
}

EdgeMasks EdgeMasks::repeated(int64_t times) const {
  return each([&](const Tensor& mask) { return altprop::repeated(mask, times); });
}

EdgeMasks EdgeMasks::of(const RowBlock& block) const {
  return each([&](const Tensor& mask) { return block.of(mask); });
}

}  // namespace altprop
