#include "altprop/train/deploy_run.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/cores/core_layer.h"
#include "altprop/data/loader.h"
#include "altprop/train/predictions.h"

namespace altprop {

ImagesForCores images_for_cores(const data::Dataset& data, int64_t most) {
  if (data.classes < 1 || data.targets.dim() != 1)
    throw UsageError("deploy: the cores vote for classes, but the data set '" + data.name +
                     "' has none");
  const data::Dataset some = most > 0 && most < data.size() ? data::first(data, most) : data;
  data::LoaderOptions options;
  options.batch = 1000;
  options.applied = true;
  const data::Loader loader(some, options);
  std::vector<Tensor> values, ids, targets;
  for (int64_t i = 0; i < loader.batches(); ++i) {
    const data::Batch batch = loader.at(0, i);
    values.push_back(batch.inputs);
    ids.push_back(batch.ids);
    targets.push_back(batch.targets.to(at::kLong));
  }
  return {at::cat(values), at::cat(ids), at::cat(targets)};
}

nlohmann::json about_deployed(Experiment& experiment, const data::Dataset& data) {
  nlohmann::json out;
  const Scores scores = predict(experiment, data).scores;
  if (const auto accuracy = scores.accuracy()) out["network_accuracy"] = *accuracy;
  double distance = 0, open = 0, n = 0;
  for (const Node& node : experiment.net().nodes()) {
    const auto* layer = dynamic_cast<const cores::CoreLayer*>(node.op.get());
    if (!layer) continue;
    const Tensor c = layer->weight()->value.to(at::kCPU, at::kDouble);
    distance += at::min(c, 1 - c).sum().item<double>();
    open += c.gt(0.1).logical_and(c.lt(0.9)).sum().item<double>();
    n += static_cast<double>(c.numel());
  }
  if (n > 0) {
    out["distance"] = distance / n;
    out["half_way"] = open / n;
  }
  return out;
}

}  // namespace altprop
