#include "altprop/spiking/convert.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/pool.h"
#include "altprop/spiking/coding.h"
#include "altprop/spiking/constant_slope.h"

namespace altprop::spiking {

namespace {

[[noreturn]] void refuse(const Node& node, const std::string& why, const std::string& instead) {
  throw Refusal("node '" + node.name + "'", why, instead);
}

/// Weights of a map that has a counterpart, else null.
struct Map {
  ConstantSlopeSettings settings;
  ParamPtr weight, bias;
  explicit operator bool() const { return weight != nullptr; }
};

Map map_of(const Node& node) {
  Map out;
  const std::vector<ParamPtr> params = node.op->params();
  if (const auto* dense = dynamic_cast<const Linear*>(node.op.get())) {
    out.settings.out = node.spec.shape.back();
    if (node.spec.shape.size() != 1)
      refuse(node, "it maps the last of several dimensions", "flatten first");
    out.weight = dense->weight();
  } else if (const auto* conv = dynamic_cast<const Conv*>(node.op.get())) {
    const ConvSettings& s = conv->chosen();
    if (conv->form() != Conv::Form::TwoD || s.groups != 1 || s.dilation != 1)
      refuse(node, "spikes are weighed by plain convolutions of images alone",
             "use conv without groups and dilation");
    out.settings.out = s.out;
    out.settings.kernel = {s.kernel, s.kernel_w, s.stride, s.padding};
    out.weight = conv->weight();
  }
  if (out.weight && params.size() > 1) out.bias = params[1];
  return out;
}

}  // namespace

Conversion convert_relu_network(const Graph& net, const Tensor& batch, double margin) {
  if (!(margin >= 1) || !std::isfinite(margin))
    throw UsageError(
        text::cat("convert: the margin of windows over the activities seen is at least 1, not ",
                  text::from_number(margin)));
  if (net.input_nodes().size() != 1 || net.output_nodes().size() != 1)
    throw Refusal("network", "it has several inputs or outputs", "convert a chain");
  if (batch.numel() == 0 || batch.min().item<double>() < 0 || batch.max().item<double>() > 1)
    throw UsageError(
        "convert: inputs become the times of spikes and must be from 0 to 1; deliver them so (data "
        "option normalise=unit), in training too");
  Activity seen;
  net.run(batch, seen, {Mode::Eval}, {.keep_values = true});
  Conversion out;
  int here = out.net.input(net.node(net.input_nodes()[0]).spec, "input"),
      before = net.input_nodes()[0];
  here = out.net.add(latency(1), {here}, "latency");
  out.windows.push_back(1);
  const int last = net.output_node();
  Map waiting;  // for the activation behind it
  std::string name;
  for (const Node& node : net.nodes()) {
    if (!node.op) continue;
    if (node.inputs != std::vector<int>{before})
      refuse(node, "it does not follow on the operation before it", "convert a chain");
    before = node.id;
    if (waiting && node.op->type() != "relu")
      refuse(node, "a map must be followed by relu, or be the last", "train with relu");
    if (const Map map = map_of(node)) {
      waiting = map;
      waiting.settings.input_window = out.windows.back();
      name = node.name;
      if (node.id != last) continue;
      waiting.settings.readout = true;
      here = out.net.add(std::make_shared<ConstantSlope>(waiting.settings, map.weight, map.bias),
                         {here}, name);
      break;
    }
    if (node.op->type() == "relu") {
      if (!waiting) refuse(node, "there is no map in front of it", "leave it out");
      const double largest = seen.values[static_cast<size_t>(node.id)].max().item<double>();
      waiting.settings.window = largest > 0 ? margin * largest : 1;
      out.windows.push_back(waiting.settings.window);
      here = out.net.add(
          std::make_shared<ConstantSlope>(waiting.settings, waiting.weight, waiting.bias), {here},
          name);
      waiting = {};
    } else if (const auto* pool = dynamic_cast<const MaxPool*>(node.op.get());
               pool && !pool->one_d()) {
      const auto& w = pool->window();
      here = out.net.add(earliest_pool2d(w.kernel, w.stride, w.padding), {here}, node.name);
    } else if (node.op->traits().reshapes) {
      here = out.net.add(node.op, {here}, node.name);
    } else if (!node.op->traits().masks) {
      refuse(node, "a " + node.op->type() + " has no counterpart of spike times",
             "train a chain of linear, conv, relu, maxpool, flatten and dropout");
    }
    if (node.id == last)
      refuse(node, "the network must end in a linear map, whose potentials are read",
             "end it with linear");
  }
  out.net.output(here);
  return out;
}

}  // namespace altprop::spiking
