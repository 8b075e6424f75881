#include "altprop/network/sites.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/index.h"
#include "altprop/base/text.h"

namespace altprop {

Sites::Sites(const Graph& net) {
  const std::vector<int>& inputs = net.input_nodes();
  add(net, "", net.site_numbers(inputs), std::vector<char>(inputs.size(), 0),
      std::vector<char>(inputs.size(), 1));
  output_ = source_[at(net.site_of(net.output_node()))];
}

// In the order that Graph::site_of counts in: a composite's parts stand behind it.
void Sites::add(const Graph& graph, const std::string& prefix, const std::vector<int>& fed,
                const std::vector<char>& wanted, const std::vector<char>& outer) {
  const int first = static_cast<int>(all_.size());
  std::vector<char> needs = graph.needs_credit(), reached(needs.size(), 0);
  for (size_t i = 0; i < wanted.size(); ++i) {
    needs[at(graph.input_nodes()[i])] |= wanted[i];
    reached[at(graph.input_nodes()[i])] = outer[i];
  }
  for (const Node& node : graph.nodes()) {
    const int number = first + graph.site_of(node.id);
    SiteInfo info{number, prefix + node.name, &node, &graph, {}};
    std::vector<char> inputs_need, inputs_reached;
    for (int i : node.inputs) {
      inputs_need.push_back(needs[at(i)]);
      inputs_reached.push_back(reached[at(i)]);
      needs[at(node.id)] |= needs[at(i)];
      reached[at(node.id)] |= reached[at(i)];
      info.inputs.push_back(source_[at(first + graph.site_of(i))]);
    }
    info.needs_credit = needs[at(node.id)];
    info.is_crossed = !inputs_need.empty() && inputs_need[0];
    info.from_input = !inputs_reached.empty() && inputs_reached[0];
    int source = number;
    if (!node.op) {
      const std::vector<int>& inputs = graph.input_nodes();
      source = fed[at(
          static_cast<int>(std::find(inputs.begin(), inputs.end(), node.id) - inputs.begin()))];
    }
    all_.push_back(info);
    source_.push_back(source);
    const Graph* parts = node.op ? node.op->parts() : nullptr;
    if (!parts) continue;
    if (parts == node.op.get()) {
      add(*parts, info.name + ".", info.inputs, inputs_need, inputs_reached);
      source_[at(number)] = source_[at(number + 1 + parts->site_of(parts->output_node()))];
    } else {
      // What its parts read is made inside, again and again.
      const size_t inputs = parts->input_nodes().size();
      add(*parts, info.name + ".", std::vector<int>(inputs, -1), std::vector<char>(inputs, 1),
          std::vector<char>(inputs, reached[at(node.id)]));
    }
  }
}

std::vector<int> Sites::leaves() const {
  std::vector<int> out;
  for (const SiteInfo& site : all_)
    if (site.is_leaf()) out.push_back(site.number);
  return out;
}

int Sites::find(const std::string& name) const {
  std::vector<std::string> names;
  for (const SiteInfo& site : all_) {
    if (site.name == name) return site.number;
    names.push_back(site.name);
  }
  throw UsageError("the network has no operation '" + name + "'" + text::suggestion(name, names));
}

std::vector<int> Sites::crossed_weights(bool to_inputs) const {
  std::vector<int> out;
  for (const SiteInfo& site : all_)
    if (site.is_leaf() && site.op()->weight() && (site.is_crossed || (to_inputs && site.from_input)))
      out.push_back(site.number);
  return out;
}

}  // namespace altprop
