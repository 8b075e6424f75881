// Baseline for rules whose credit may be useless: the hidden layers keep their initial weights and
// only the output layer learns. A rule that does not beat it has not trained a single hidden layer.
#include "altprop/base/error.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

/// The last node with parameters on the way to the output.
const Node& last_layer(const Graph& net) {
  const Node* last = nullptr;
  for (const Node& node : net.nodes())
    if (node.op && !node.op->params().empty()) last = &node;
  if (!last) throw Refusal("network", "it has no parameters", "add a layer that can learn");
  return *last;
}

struct LastLayerOnly : Rule {
  void admit(const Graph& net, const Loss&) const override { last_layer(net); }
  std::vector<ParamPtr> trained(Graph& net) const override { return last_layer(net).op->params(); }

  bool allows_in_place() const override { return true; }

  void assign(Step& step, Sink& sink) override {
    const Node& last = last_layer(step.net);
    struct OnlyLast : Feedback {
      int id;
      explicit OnlyLast(int id) : id(id) {}
      Tensor pull(const Node& node, const Saved& saved, const Tensor& cot, int input) override {
        return node.id > id ? node.op->vjp(saved, cot, input) : Tensor();
      }
    } feedback{last.id};
    sweep_step(step, feedback, sink);
  }
};

const RegisterRule registered_last_layer_only{{.name = "last-layer-only",
                               .aliases = {"last"},
                               .summary = "baseline: hidden layers frozen at their initial weights",
                               .assumes = "nothing",
                               .source = "",
                               .example_net = "mlp:784-100-10:relu",
                               .make = [] { return std::make_unique<LastLayerOnly>(); },
                               .order = 900,
                               .reaches = 0.45}};

}  // namespace

}  // namespace altprop
