#include "altprop/rules/real_values.h"

#include "altprop/base/error.h"

namespace altprop {

void require_real_values(const Graph& net) {
  for (const Node& node : net.nodes()) {
    if (node.op && node.op->parts() && node.op->parts() != &net)
      require_real_values(*node.op->parts());
    if (node.spec.kind != Kind::SpikeTime) continue;
    throw Refusal("node '" + node.name + "'",
                  "it gives spike times, infinite of a unit that never fires, while this rule lets "
                  "the values of layers settle as real numbers",
                  "use backprop, or a rule that asks for products with Jacobians alone, such as "
                  "feedback-alignment");
  }
}

}  // namespace altprop
