#include "altprop/train/predictions.h"

#include <ATen/core/grad_mode.h>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/loader.h"
#include "altprop/train/loader_options.h"

namespace altprop {

namespace {

struct PredictionColumns {
  std::vector<Tensor> outputs, samples, steps, targets;
};

Tensor joined(const std::vector<Tensor>& parts) {
  return parts.empty() ? Tensor() : at::cat(parts);
}

void refuse_lost_outputs(const Tensor& outputs, const Tensor& samples, const data::Dataset& data) {
  const Tensor lost = outputs.isnan().any(1);
  if (!lost.any().item<bool>()) return;
  const int64_t row = lost.to(at::kByte).argmax().item<int64_t>();
  throw Error(text::cat("the network's output for sample ", samples[row].item<int64_t>(),
                        " of data set '", data.name,
                        "', counted from 0, is no number: its values are too large for it"));
}

void add_batch(PredictionColumns& columns, const Tensor& linked, const data::Batch& batch,
               const data::Dataset& data, bool with_targets) {
  Tensor outputs = linked.to(at::kCPU, at::kDouble);
  if (!data.per_step()) {
    columns.outputs.push_back(outputs.flatten(1).contiguous());
    columns.samples.push_back(batch.ids);
    if (with_targets) {
      const Tensor targets = batch.targets.to(at::kCPU);
      columns.targets.push_back(data.classes > 0 ? targets : targets.to(at::kDouble));
    }
    return;
  }
  const int64_t steps = outputs.size(1);
  const Tensor targets = batch.targets.to(at::kCPU).reshape({-1});
  const Tensor rows = targets.ge(0).nonzero().squeeze(1);  // others are behind a sequence's end
  columns.outputs.push_back(outputs.reshape({-1, outputs.size(2)}).index_select(0, rows));
  columns.samples.push_back(batch.ids.index_select(0, rows.floor_divide(steps)));
  columns.steps.push_back(rows.remainder(steps) + 1);
  columns.targets.push_back(targets.index_select(0, rows));
}

/// Loss and accuracy of outputs that no learner has made.
Scores judged(const Loss& loss, const Tensor& output, const Tensor& targets) {
  const double n = static_cast<double>(output.size(0));
  Scores out;
  out.add("loss", loss.value(output, targets).to(at::kDouble).sum().item<double>(), n);
  if (const Tensor right = loss.right(output, targets); right.defined())
    out.add("accuracy", right.item<double>(), n, true);
  return out;
}

}  // namespace

Predictions predict(Experiment& experiment, const data::Dataset& data, const Graph* instead) {
  at::NoGradGuard no_grad;
  // A likelihood is known without targets, and looks at none.
  const bool density = experiment.loss().of_flows(), with_targets = data.labelled() && !density;
  if (with_targets)
    experiment.loss().admit(experiment.net().node(experiment.net().output_node()).spec.shape,
                            data.targets);
  data::LoaderOptions options = evaluation_options(experiment.settings());
  options.applied = true;
  const data::Loader loader(data, options);
  PredictionColumns columns;
  Predictions out;
  for (int64_t i = 0; i < loader.batches(); ++i) {
    const data::Batch batch = loader.at(0, i);
    const Look look = experiment.trainer().evaluated(batch);
    const Tensor output =
        instead ? instead->predict(look.inputs) : experiment.rule().predict(look);
    add_batch(columns, experiment.loss().link(output), batch, data, with_targets);
    refuse_lost_outputs(columns.outputs.back(), columns.samples.back(), data);
    if (instead && with_targets)
      out.scores.add(judged(experiment.loss(), output, batch.targets));
    else if (with_targets || density)
      out.scores.add(experiment.rule().evaluate(look, batch.targets));
  }
  out.outputs = joined(columns.outputs);
  out.samples = joined(columns.samples);
  out.steps = joined(columns.steps);
  out.targets = joined(columns.targets);
  if (density) {
    out.names = {"log_density"};
  } else if (data.classes > 0) {
    out.classes = out.outputs.argmax(1);
  }
  return out;
}

spiking::Conversion as_spikes(Experiment& experiment) {
  constexpr int64_t kSamples = 1000;
  at::NoGradGuard no_grad;
  data::LoaderOptions options = evaluation_options(experiment.settings());
  options.batch = kSamples;
  const data::Loader loader(data::first(experiment.data().train, kSamples), options);
  return spiking::convert_relu_network(experiment.net(), loader.at(0, 0).inputs);
}

}  // namespace altprop
