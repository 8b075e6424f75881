#include "altprop/rules/corinfomax/chain.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "altprop/base/error.h"

namespace altprop {

namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& why) {
  throw Refusal(where,
                why +
                    ": CorInfoMax needs a chain of dense layers with bounded activations and "
                    "without biases",
                "use for example mlp:784-500-10:hard-sigmoid:bias=false (rates in [0, 1]) or the "
                "same with relu (sparse rates)");
}

RateDomain domain_of(const Node& node) {
  const std::optional<Interval> nearest = node.op->traits().nearest_in;
  if (nearest == Interval{0, 1}) return RateDomain::AntiSparse;
  if (nearest == Interval{0, INFINITY}) return RateDomain::Sparse;
  refuse("node '" + node.name + "'",
         "its activation " + node.op->type() + " names no domain of rates");
}

const Op& dense(const Node& node, const std::vector<DenseLayer>& before) {
  const std::string where = "node '" + node.name + "'";
  const std::optional<DenseMap> map = node.op->dense();
  if (!map) refuse(where, "it is a " + node.op->type() + " operation");
  if (map->bias) refuse(where, "it has a bias");
  if (node.spec.shape.size() != 1) refuse(where, "it is applied at several places of its input");
  for (const DenseLayer& layer : before)
    if (layer.affine->weight() == map->weight)
      refuse(where, "it shares its weight with '" + layer.node->name + "'");
  return *node.op;
}

}  // namespace

std::vector<DenseLayer> dense_chain(const Graph& net) {
  net.output_node();
  if (net.input_nodes().size() != 1) refuse("network", "it has several inputs");
  std::vector<DenseLayer> layers;
  bool open = false;  // the last layer still waits for its activation
  int last = net.input_nodes()[0];
  for (const Node& node : net.nodes()) {
    if (!node.op) continue;
    if (node.inputs.size() != 1 || node.inputs[0] != last)
      refuse("node '" + node.name + "'", "it is not one of a chain");
    last = node.id;
    if (layers.empty() && node.op->traits().reshapes) continue;
    if (open && node.op->traits().activation) {
      layers.back().domain = domain_of(node);
      open = false;
      continue;
    }
    if (open) refuse("node '" + node.name + "'", "no activation stands in front of it");
    layers.push_back({&node, &dense(node, layers), RateDomain::AntiSparse});
    open = true;
  }
  if (layers.empty()) refuse("network", "it has no dense layer");
  if (last != net.output_node()) refuse("network", "its output is not the end of the chain");
  if (open && layers.size() > 1) layers.back().domain = layers[layers.size() - 2].domain;
  return layers;
}

}  // namespace altprop
