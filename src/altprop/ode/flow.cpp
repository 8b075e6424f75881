#include "altprop/ode/flow.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/likelihood.h"
#include "altprop/ode/time_gate.h"

namespace altprop::ode {

namespace {

[[noreturn]] void refuse_as_flow(const std::string& why) {
  throw Refusal("likelihood", "it is that of a normalising flow, and the network is none: " + why,
                "use a cnf: network");
}

/// The flow field that is all of a block's right-hand side, or null.
const FlowField* field_in(const Block& block) {
  const Graph& f = *block.parts();
  const Node& last = f.node(f.output_node());
  const auto* field = dynamic_cast<const FlowField*>(last.op.get());
  if (!field || !block.problem().outputs.empty()) return nullptr;
  for (size_t i = 0; i < last.inputs.size(); ++i)
    if (last.inputs[i] != f.input_nodes()[i]) return nullptr;
  return field;
}

/// z(0) of z(T): the velocity alone, since nobody asks for the density of samples here.
Tensor back_through(const Block& block, const Tensor& z) {
  if (!block.problem().jumps.empty())
    throw Refusal("sample",
                  "the right-hand side of a block has jumps, of which integration backwards in time "
                  "would see the wrong side",
                  "leave jumps= out");
  const Graph& g = *field_in(block)->parts();
  return integrate(block.solver(), field_of(g, {.mode = Mode::Eval}, false), z, block.end_time(), 0,
                   block.problem().sizes, nullptr);
}

}  // namespace

Flow flow_of(const Graph& net) {
  Flow out;
  if (net.input_nodes().size() != 1 || net.output_nodes().size() != 1)
    refuse_as_flow("it has several inputs or outputs");
  const Node& input = net.node(net.input_nodes()[0]);
  out.sample = input.spec.shape;
  bool enlarged = false;
  int at = input.id;
  while (at != net.output_node()) {
    const std::vector<int>& next = net.consumers()[static_cast<size_t>(at)];
    if (next.size() != 1) refuse_as_flow("it is no chain behind '" + net.node(at).name + "'");
    const Node& node = net.node(next[0]);
    at = node.id;
    if (const auto* map = dynamic_cast<const Bijection*>(node.op.get()); map && enlarged) {
      out.parts.push_back({.map = map});
      continue;
    }
    if (const auto* block = dynamic_cast<const Block*>(node.op.get()); block && enlarged) {
      const FlowField* field = field_in(*block);
      if (!field)
        refuse_as_flow("the right-hand side of '" + node.name +
                       "' is more or less than a flow, or its states are read at several times");
      out.parts.push_back({.block = block});
      continue;
    }
    if (const int64_t levels = levels_of(*node.op); levels > 0 && !enlarged && out.levels == 0) {
      out.levels = levels;
      continue;
    }
    const bool only_reshapes = node.op->traits().reshapes && !enlarged && node.op->params().empty();
    const bool zeros = !enlarged && zero_channels_of(*node.op) == 1 &&
                       net.node(node.inputs[0]).spec.shape.size() == 1;
    enlarged |= zeros;
    if (!only_reshapes && !zeros)
      refuse_as_flow(text::cat("'", node.name, "' (", node.op->type(),
                               ") changes densities and is not counted"));
  }
  if (std::none_of(out.parts.begin(), out.parts.end(), [](const Flow::Part& p) { return p.block; }))
    refuse_as_flow("there is no ode{flow{...}} in it");
  out.width = net.node(net.output_node()).spec.numel() - 1;
  return out;
}

std::optional<double> Flow::bits_per_dimension(double loss) const {
  if (levels == 0) return std::nullopt;
  const auto dimensions = static_cast<double>(Spec{sample}.numel());
  return loss / (dimensions * M_LN2) + std::log2(static_cast<double>(levels));
}

bool is_flow(const Graph& net) {
  try {
    flow_of(net);
    return true;
  } catch (const Refusal&) {
    return false;
  }
}

Tensor sample(const Graph& net, int64_t n, const Stream& stream, int64_t at_once) {
  if (n < 1 || at_once < 1)
    throw UsageError(
        text::cat("sample: the number of samples is at least 1, but is ", n < 1 ? n : at_once));
  const Flow flow = flow_of(net);
  std::vector<Tensor> parts;
  for (int64_t from = 0; from < n; from += at_once) {
    const int64_t rows = std::min(at_once, n - from);
    Tensor z = stream.normal_rows({.first_row = from}, {rows, flow.width}, net.options());
    for (size_t k = flow.parts.size(); k-- > 0;) {
      const Flow::Part& part = flow.parts[k];
      z = part.block ? back_through(*part.block, z)
                     : part.map->inverse(z, stream.at(static_cast<int64_t>(k)), from);
    }
    if (flow.levels > 0) z = quantised(z, flow.levels);
    parts.push_back(z);
  }
  std::vector<int64_t> shape = flow.sample;
  shape.insert(shape.begin(), n);
  return at::cat(parts).view(shape);
}

Tensor log_density(const Graph& net, const Tensor& x) {
  flow_of(net);
  return make_likelihood()->value(net.predict(x), {}).neg_();
}

}  // namespace altprop::ode
