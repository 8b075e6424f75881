#include "altprop/train/export_run.h"

#include "altprop/base/version.h"
#include "altprop/network/describe.h"

namespace altprop {

namespace {

/// Class names come from files and need not be UTF-8.
std::string as_text(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Texts about_network(Experiment& e, const RunMeta& meta) {
  const data::Dataset& data = e.data().train;
  Texts out{{"altprop_version", version()},
            {"rule", e.settings().rule},
            {"label", e.settings().name()},
            {"run", meta.run},
            {"loss", e.settings().loss},
            {"data", e.settings().data},
            {"network", network_text(e.settings().net)},
            {"operations", as_text(describe(e.net()).json()["operations"])},
            {"input_shape", as_text(data.sample_shape())},
            {"classes", as_text(data.classes)},
            {"class_names", as_text(data.class_names)},
            {"epochs", as_text(e.trainer().position().epoch)},
            {"normalisation",
             as_text({{"scale", data.scale}, {"mean", data.mean}, {"stddev", data.stddev}})}};
  if (data.vocabulary > 0) out["vocabulary"] = as_text(data.vocabulary);
  return out;
}

}  // namespace

void export_run(EarlierRun& run, const std::filesystem::path& out) {
  run.restore();
  Experiment& experiment = *run.experiment;
  TensorMap weights;
  for (const ParamPtr& param : experiment.net().params())
    weights[param->name] = param->value.detach();
  for (auto& [name, tensor] : experiment.net().buffers()) weights[name] = tensor->detach();
  write_safetensors(out, std::move(weights), about_network(experiment, run.meta), /*named=*/true);
}

}  // namespace altprop
