#include "altprop/train/deploy_run.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/cores/class_sums.h"
#include "altprop/data/loader.h"
#include "altprop/probes/connections.h"
#include "altprop/train/folder_records.h"
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
  const std::vector<ConnectionRow> layers = connections(experiment.net());
  if (layers.empty()) return out;
  const ConnectionRow all = all_connections(layers);
  out.update({{"distance", all.distance}, {"half_way", all.half_way}});
  for (const ConnectionRow& row : layers)
    out["connections"].push_back(
        {{"name", row.name}, {"distance", row.distance}, {"half_way", row.half_way}});
  return out;
}

namespace {

/// The neurons that vote, and for how many classes.
std::pair<int, int64_t> voting_node(const Graph& net) {
  for (const Node& node : net.nodes())
    if (const auto* sums = dynamic_cast<const cores::ClassSums*>(node.op.get()))
      return {node.inputs[0], sums->classes()};
  throw Refusal("network", "no class sums are in it", "end it with class-sums");
}

}  // namespace

Tensor network_sums(const Graph& net, const Tensor& values, cores::Encoding encoding,
                    int64_t ticks) {
  const auto [voting, classes] = voting_node(net);
  const at::TensorOptions like = net.params().front()->value.options();
  const int64_t different = encoding == cores::Encoding::Bernoulli ? 1 : ticks;
  std::vector<Tensor> parts;
  constexpr int64_t kAtOnce = 1000;
  for (int64_t from = 0; from < values.size(0); from += kAtOnce) {
    const Tensor some = values.narrow(0, from, std::min(kAtOnce, values.size(0) - from));
    Tensor sum = at::zeros({some.size(0), classes}, at::kDouble);
    for (int64_t tick = 0; tick < different; ++tick) {
      Activity activity;
      const Tensor chance = cores::chances(some, encoding, tick, ticks).to(at::kDouble);
      net.run((chance / cores::kCertain).to(like), activity, {Mode::Eval}, {.keep_values = true});
      // Neuron j votes for class j mod K.
      sum += activity.values[static_cast<size_t>(voting)]
                 .to(at::kCPU, at::kDouble)
                 .view({some.size(0), -1, classes})
                 .sum(1);
    }
    parts.push_back(sum / static_cast<double>(different));
  }
  return at::cat(parts);
}

void write_deployment(const std::filesystem::path& dir, const std::filesystem::path& file,
                      const RunSettings& of_run, nlohmann::json found,
                      const cores::DeploySettings& settings, const std::string& split) {
  const auto id = of_run.run.find("id");
  found.update({{"run", id == of_run.run.end() ? "" : id->second},
                {"state", file.filename().string()},
                {"split", split},
                {"input", settings.input},
                {"ticks", settings.ticks},
                {"leak", settings.leak},
                {"seed", settings.seed}});
  write_atomically(dir / kDeployment, found.dump(2) + "\n");
}

}  // namespace altprop
