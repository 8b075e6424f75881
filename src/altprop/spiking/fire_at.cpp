#include "altprop/spiking/fire_at.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/spiking/event.h"

namespace altprop::spiking {

namespace {

/// Share of the units, over all samples that have any input, that fire within `after`.
double share_in_time(const Event& layer, const Tensor& arrivals, double after) {
  Saved saved;
  const Tensor out = layer.forward({&arrivals, 1}, saved, {}).flatten(1);
  const Tensor first = std::get<0>(arrivals.flatten(1).min(1)), fires = first.isfinite();
  const Tensor in_time = (out - first.masked_fill(fires.logical_not(), 0).unsqueeze(1)).le(after);
  return in_time.masked_select(fires.unsqueeze(1)).to(at::kDouble).mean().item<double>();
}

void move(const Event& layer, const std::string& name, const Tensor& arrivals, double after) {
  if (!arrivals.isfinite().any().item<bool>())
    throw UsageError("spike.fire-at: no input of '" + name +
                     "' fires on the first batch, so that no weight could make its units fire; "
                     "give more samples, or make the layers in front fire earlier");
  const Tensor drawn = layer.weight()->value.clone();
  const auto share = [&](double shift) {
    layer.weight()->value.copy_(drawn + shift);
    return share_in_time(layer, arrivals, after);
  };
  double low = 0, high = 0, step = layer.chosen().threshold / static_cast<double>(drawn[0].numel());
  constexpr int kDoublings = 40, kHalvings = 40;
  int tries = 0;
  if (share(0) < 0.5) {
    while (share(high += step) < 0.5 && ++tries < kDoublings) step *= 2;
  } else {
    while (share(low -= step) >= 0.5 && ++tries < kDoublings) step *= 2;
  }
  if (tries >= kDoublings)
    throw UsageError(text::cat("spike.fire-at: no shift of the weights of '", name,
                               "' lets half of its units fire within ", text::from_number(after),
                               "; give another time"));
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (share(middle) < 0.5 ? low : high) = middle;
  }
  layer.weight()->value.copy_(drawn + high);
}

}  // namespace

int fire_at(Graph& net, const Tensor& batch, double after) {
  int layers = 0;
  for (const Node& node : net.nodes()) {
    const auto* layer = dynamic_cast<const Event*>(node.op.get());
    if (!layer) continue;
    Activity activity;
    net.run(batch, activity, {Mode::Eval}, {.keep_values = true});
    move(*layer, node.name, activity.values[static_cast<size_t>(node.inputs[0])], after);
    ++layers;
  }
  return layers;
}

}  // namespace altprop::spiking
