#include "altprop/probes/firing.h"

#include <cmath>

namespace altprop {

namespace {

double mean_of(const Tensor& t) { return t.to(at::kDouble).mean().item<double>(); }

bool makes_spikes(const Node& node) {
  return node.op && node.spec.kind == Kind::SpikeTime && node.spec.dtype == Dtype::Float &&
         !node.op->traits().rearranges;
}

/// Spikes in front of each unit of a dense layer, per sample; of other operations 0.
double events_before(const Op& op, const Tensor& arrivals, const Tensor& times) {
  const ParamPtr weight = op.weight();
  if (!weight || weight->value.dim() != 2 || arrivals.dim() != 2) return 0;
  // A silent unit has seen all that came; +inf is behind every finite time.
  const Tensor seen = at::searchsorted(std::get<0>(arrivals.sort(1)), times.contiguous());
  return seen.sum(1).to(at::kDouble).mean().item<double>();
}

}  // namespace

std::vector<FiringRow> firing(const Graph& net, const Tensor& inputs) {
  std::vector<FiringRow> out;
  bool any = false;
  for (const Node& node : net.nodes()) any |= makes_spikes(node);
  if (!any || inputs.size(0) == 0) return out;
  Activity activity;
  net.run(inputs, activity, {Mode::Eval}, {.keep_values = true});
  for (const Node& node : net.nodes()) {
    if (!makes_spikes(node)) continue;
    const Tensor times = activity.values[static_cast<size_t>(node.id)].flatten(1);
    const Tensor fires = times.isfinite();
    FiringRow row{.name = node.name, .units = times.size(1)};
    row.silent = 1 - mean_of(fires);
    row.spikes = (1 - row.silent) * static_cast<double>(row.units);
    row.dead = mean_of(fires.any(0).logical_not());
    const Tensor spikes = times.masked_select(fires);
    row.median = spikes.numel() > 0 ? spikes.median().item<double>() : NAN;
    row.events = events_before(*node.op, activity.values[static_cast<size_t>(node.inputs[0])],
                               activity.values[static_cast<size_t>(node.id)]);
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
