// What a trainer refuses of data before the first batch.
#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/augment.h"
#include "altprop/ode/flow.h"
#include "altprop/train/loader_options.h"
#include "altprop/train/trainer.h"

namespace altprop {

void Trainer::admit_data() const {
  if (loss_.of_flows()) {
    ode::flow_of(net_);
  } else if (data_.train.classes > 0 && ode::is_flow(net_)) {
    throw Refusal("network",
                  "it is a normalising flow, whose output is no class but what a sample has become "
                  "and the change of its log density",
                  "use --loss likelihood");
  }
  for (const data::Dataset* part : {&data_.train, &data_.validation, &data_.test}) {
    if (part->empty()) continue;
    loss_.admit(net_.node(net_.output_node()).spec.shape, part->targets);
    admit_inputs(*part);
  }
  const int64_t n = data_.train.size(), left_over = n % settings_.batch;
  if (!net_.traits().needs_others || n == 0) return;
  const char* why = "a norm of the network takes mean and variance over the samples of a batch";
  if (settings_.batch == 1 || n == 1)
    throw Refusal("batch", text::cat(why, ", but its batches have one"),
                  "use a larger --batch, or layer norm");
  if (left_over == 1 && !settings_.drop_last)
    throw Refusal("batch",
                  text::cat(why, ", but of ", n, " training samples in batches of ",
                            settings_.batch, " the last has one"),
                  "leave it out with --drop-last, or change --batch");
}

void Trainer::admit_inputs(const data::Dataset& part) const {
  const int input = net_.input_nodes()[0];
  if (net_.node(input).spec.kind != Kind::SpikeTime) data::require_finite(part);
  for (int reader : net_.consumers()[static_cast<size_t>(input)]) {
    const Node& node = net_.node(reader);
    const auto place = std::find(node.inputs.begin(), node.inputs.end(), input);
    const auto within = node.op->takes(static_cast<int>(place - node.inputs.begin())).within;
    if (!within || part.vocabulary > 0) continue;
    const auto [low, high] =
        data::normalised_range(part, training_options(settings_, stream_).dtype);
    if (low >= within->low && high <= within->high) continue;
    throw Refusal("data set '" + part.name + "'",
                  text::cat("its inputs go from ", low, " to ", high,
                            " as they are delivered, and '", node.name, "' takes those from ",
                            within->low, " to ", within->high),
                  text::cat("scale the data to [", within->low, ", ", within->high,
                            "], as --data.normalise unit does"));
  }
}

}  // namespace altprop
