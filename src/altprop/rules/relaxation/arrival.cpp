#include "altprop/rules/relaxation/arrival.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/text.h"

namespace altprop {

namespace {

constexpr double kAllOfIt = 0.999;

/// Steps after which the operations that predict a state have so much of its credit; -1: not within
/// a million.
int64_t steps_to_fill(const StateGraph& graph, const LinearRelaxation& relaxation,
                      const Travel& travel, const Arrival& last) {
  if (relaxation.even()) return steps_for(travel.eta, travel.in_one_sweep, last.hops, kAllOfIt);
  for (int64_t steps = std::max<int64_t>(1, travel.steps); steps <= 1'000'000; steps *= 2) {
    const auto filled = [&](int64_t n) {
      const std::vector<double> shares =
          relaxed_shares(graph, relaxation, {travel.eta, n, travel.in_one_sweep});
      return shares[static_cast<size_t>(last.state)] >= kAllOfIt;
    };
    if (!filled(steps)) continue;
    int64_t low = steps / 2, high = steps;
    while (high - low > 1) {
      const int64_t middle = (low + high) / 2;
      (filled(middle) ? high : low) = middle;
    }
    return high;
  }
  return -1;
}

}  // namespace

std::vector<double> relaxed_shares(const StateGraph& graph, const LinearRelaxation& relaxation,
                                   const Travel& travel) {
  const size_t n = graph.states.size();
  // The next state on the longest way to the loss; -1: the loss itself.
  std::vector<int> next(n, -1);
  for (const StateGraph::Edge& edge : graph.edges)
    for (int p : edge.from) {
      const bool counts = relaxation.hidden(p) && relaxation.hidden(edge.to);
      if (counts && relaxation.hops(edge.to) + 1 == relaxation.hops(p))
        next[static_cast<size_t>(p)] = edge.to;
    }
  std::vector<double> share(n, 0), before;
  for (int64_t t = 0; t < travel.steps; ++t) {
    if (!travel.in_one_sweep) before = share;
    const std::vector<double>& seen = travel.in_one_sweep ? share : before;
    for (size_t s = n; s-- > 0;) {
      if (!relaxation.hidden(static_cast<int>(s))) continue;
      const double comes = next[s] < 0 ? 1 : seen[static_cast<size_t>(next[s])];
      const double rate = relaxation.rates().empty() ? 1 : relaxation.rates()[s];
      share[s] += travel.eta * rate * (comes - share[s]);
    }
  }
  return share;
}

std::vector<Arrival> arrivals(const StateGraph& graph, const LinearRelaxation& relaxation,
                              const Travel& travel) {
  std::vector<Arrival> out;
  std::vector<double> uneven;
  if (!relaxation.even()) uneven = relaxed_shares(graph, relaxation, travel);
  for (const StateGraph::Edge& edge : graph.edges) {
    if (!relaxation.hidden(edge.to)) continue;
    std::vector<std::string> layers;
    for (const Node& node : edge.map.nodes())
      if (node.op && !node.op->params().empty()) layers.push_back(node.name);
    const int64_t hops = relaxation.hops(edge.to);
    const double share =
        uneven.empty() ? travel.arrived(hops) : uneven[static_cast<size_t>(edge.to)];
    if (!layers.empty()) out.push_back({text::join(layers, " and "), hops, share, edge.to});
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
  const int64_t steps = steps_to_fill(graph, relaxation, travel, *least);
  return text::cat(rule, ": with ", steps_option, "=", travel.steps, " ", least->layer,
                   " receives ", std::round(1000 * least->share) / 10, " % of backprop's credit, ",
                   least->hops, " hops from the loss; ",
                   steps > 0 ? text::cat(steps_option, "=", steps, " brings 99.9 %")
                             : std::string("use a larger step size"));
}

}  // namespace altprop
