#include "altprop/rules/relaxation/arrival.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/text.h"

namespace altprop {

std::vector<Arrival> arrivals(const StateGraph& graph, const LinearRelaxation& relaxation,
                              const Travel& travel) {
  std::vector<Arrival> out;
  for (const StateGraph::Edge& edge : graph.edges) {
    if (!relaxation.hidden(edge.to)) continue;
    std::vector<std::string> layers;
    for (const Node& node : edge.map.nodes())
      if (node.op && !node.op->params().empty()) layers.push_back(node.name);
    const int64_t hops = relaxation.hops(edge.to);
    if (!layers.empty()) out.push_back({text::join(layers, " and "), hops, travel.arrived(hops)});
  }
  return out;
}

std::string arrival_warning(const std::string& rule, const std::string& steps_option,
                            const StateGraph& graph, const LinearRelaxation& relaxation,
                            const Travel& travel, double enough) {
  const std::vector<Arrival> all = arrivals(graph, relaxation, travel);
  const auto least = std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::abs(1 - a.share) > std::abs(1 - b.share);
  });
  if (least == all.end() || std::abs(1 - least->share) <= 1 - enough) return "";
  const int64_t steps = steps_for(travel.eta, travel.in_one_sweep, least->hops, 0.999);
  return text::cat(rule, ": with ", steps_option, "=", travel.steps, " ", least->layer,
                   " receives ", std::round(1000 * least->share) / 10, " % of backprop's credit, ",
                   least->hops, " hops from the loss; ",
                   steps > 0 ? text::cat(steps_option, "=", steps, " brings 99.9 %")
                             : std::string("use a larger step size"));
}

}  // namespace altprop
