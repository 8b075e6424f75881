#include "altprop/probes/connections.h"

#include "altprop/cores/core_layer.h"

namespace altprop {

std::vector<ConnectionRow> connections(const Graph& net) {
  std::vector<ConnectionRow> out;
  for (const Node& node : net.nodes()) {
    const auto* layer = dynamic_cast<const cores::CoreLayer*>(node.op.get());
    if (!layer) continue;
    const Tensor c = layer->weight()->value.to(at::kCPU, at::kDouble);
    const Tensor open = c.gt(0.1).logical_and_(c.lt(0.9)).to(at::kDouble);
    out.push_back({.name = node.name,
                   .synapses = c.numel(),
                   .distance = at::min(c, 1 - c).mean().item<double>(),
                   .half_way = open.mean().item<double>()});
  }
  return out;
}

ConnectionRow all_connections(const std::vector<ConnectionRow>& layers) {
  ConnectionRow out;
  for (const ConnectionRow& layer : layers) {
    const auto n = static_cast<double>(layer.synapses);
    out.synapses += layer.synapses;
    out.distance += n * layer.distance;
    out.half_way += n * layer.half_way;
  }
  out.distance /= static_cast<double>(out.synapses);
  out.half_way /= static_cast<double>(out.synapses);
  return out;
}

}  // namespace altprop
