#include "altprop/rules/real_values.h"

#include <algorithm>

#include "altprop/base/error.h"

namespace altprop {

namespace {
/// A hidden layer in front of which something learns.
bool would_be_state(const Graph& net, const Node& node) {
  const std::vector<int>& outputs = net.output_nodes();
  return node.op && net.needs_credit()[static_cast<size_t>(node.id)] &&
         std::count(outputs.begin(), outputs.end(), node.id) == 0;
}
}  // namespace

void require_real_values(const Graph& net, bool probabilities) {
  const char* const instead =
      "use backprop, or a rule that asks for products with Jacobians alone, such as "
      "feedback-alignment";
  for (const Node& node : net.nodes()) {
    if (node.op && node.op->parts() && node.op->parts() != &net)
      require_real_values(*node.op->parts(), probabilities);
    if (node.spec.kind == Kind::SpikeTime)
      throw Refusal("node '" + node.name + "'",
                    "it gives spike times, infinite of a unit that never fires, while this rule lets "
                    "the values of layers settle as real numbers",
                    instead);
    if (probabilities && node.spec.kind == Kind::Probability && would_be_state(net, node))
      throw Refusal("node '" + node.name + "'",
                    "its value would be a state that moves freely, but it gives probabilities",
                    instead);
  }
}

}  // namespace altprop
