#include "altprop/probes/firing.h"

#include <cmath>

#include "altprop/spiking/synaptic_events.h"

namespace altprop {

namespace {

double mean_of(const Tensor& t) { return t.to(at::kDouble).mean().item<double>(); }

bool makes_spikes(const Node& node) {
  return node.op && node.spec.kind == Kind::SpikeTime && node.spec.dtype == Dtype::Float &&
         !node.op->traits().rearranges;
}

const spiking::CountsSynapticEvents* counting(const Node& node) {
  return dynamic_cast<const spiking::CountsSynapticEvents*>(node.op.get());
}

void count_spikes(FiringRow& row, const Tensor& times) {
  const Tensor fires = times.isfinite();
  row.silent = 1 - mean_of(fires);
  row.spikes = (1 - row.silent) * static_cast<double>(row.units);
  row.dead = mean_of(fires.any(0).logical_not());
  const Tensor spikes = times.masked_select(fires);
  row.median = spikes.numel() > 0 ? spikes.median().item<double>() : NAN;
}

void count_events(FiringRow& row, const Node& node, const Tensor& arrivals, const Tensor& out) {
  if (const auto* op = counting(node)) {
    const Tensor events = op->synaptic_events(arrivals, out);
    row.events = mean_of(events);
    row.events_deviation = events.numel() > 1 ? events.std().item<double>() : 0;
  } else if (node.op->weight()) {
    row.events = row.events_deviation = NAN;
  }
}

}  // namespace

std::vector<FiringRow> firing(const Graph& net, const Tensor& inputs) {
  std::vector<FiringRow> out;
  bool any = false;
  for (const Node& node : net.nodes()) any |= makes_spikes(node) || counting(node);
  if (!any || inputs.size(0) == 0) return out;
  Activity activity;
  net.run(inputs, activity, {Mode::Eval}, {.keep_values = true});
  for (const Node& node : net.nodes()) {
    if (!makes_spikes(node) && !counting(node)) continue;
    const Tensor& values = activity.values[static_cast<size_t>(node.id)];
    FiringRow row{.name = node.name, .units = node.spec.numel()};
    row.spikes = row.silent = row.dead = row.median = NAN;
    if (makes_spikes(node)) count_spikes(row, values.flatten(1));
    count_events(row, node, activity.values[static_cast<size_t>(node.inputs[0])], values);
    out.push_back(row);
  }
  return out;
}

Anytime anytime_accuracy(const Graph& net, const Tensor& inputs, const Tensor& targets,
                         int64_t points) {
  Anytime out;
  if (net.output_nodes().size() != 1) return out;
  const Spec& spec = net.node(net.output_node()).spec;
  if (spec.kind != Kind::SpikeTime || spec.shape.size() != 1 || targets.is_floating_point() ||
      targets.dim() != 1 || inputs.size(0) == 0)
    return out;
  const auto [first, winner] = net.predict(inputs).min(1);
  const Tensor decided = first.isfinite(),
               sorted = std::get<0>(first.masked_select(decided).sort());
  if (sorted.numel() == 0) return out;
  const Tensor right = winner.eq(targets).logical_and(decided);
  for (int64_t k = 1; k <= points; ++k) {
    const double time = sorted[(sorted.numel() - 1) * k / points].item<double>();
    out.times.push_back(time);
    out.accuracy.push_back(mean_of(right.logical_and(first.le(time))));
  }
  return out;
}

}  // namespace altprop
