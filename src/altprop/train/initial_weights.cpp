#include "altprop/train/initial_weights.h"

#include <vector>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/train/checkpoint.h"
#include "altprop/train/run_meta.h"

namespace altprop {

namespace {

struct StartValue {
  std::string name;
  Tensor* value;
};

std::vector<StartValue> values_to_start(Graph& net) {
  std::vector<StartValue> out;
  for (const ParamPtr& param : net.params()) out.push_back({param->name, &param->value});
  for (auto& [name, tensor] : net.buffers()) out.push_back({name, tensor});
  return out;
}

/// What a checkpoint or an exported file says of its network; "" if nothing.
std::string network_of(const Texts& texts, const std::string& path) {
  if (const auto found = texts.find("network"); found != texts.end()) return found->second;
  if (!texts.count("altprop")) return "";
  const nlohmann::json settings = RunMeta::of(texts, path).settings;
  return settings.is_object() ? settings.value("net", "") : "";
}

/// "'a', 'b', 'c' and 4 more".
std::string named_some(const std::vector<std::string>& names) {
  constexpr size_t kMost = 3;
  std::vector<std::string> some;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i)
    some.push_back("'" + names[i].substr(0, 60) + "'");
  return text::join(some, ", ") +
         (names.size() > kMost ? text::cat(" and ", names.size() - kMost, " more") : "");
}

}  // namespace

std::string start_from(Graph& net, const std::string& path, const std::string& text) {
  const Checkpoint file = load_weights(path);
  const TensorMap& stored = file.tensors;
  const std::vector<StartValue> values = values_to_start(net);
  std::string prefix;
  for (const StartValue& value : values)
    if (stored.count("net." + value.name)) prefix = "net.";
  std::vector<std::string> missing, there, unlike;
  for (const auto& [name, value] : values) {
    const auto found = stored.find(prefix + name);
    if (found == stored.end()) {
      missing.push_back(name);
    } else if (found->second.sizes() != value->sizes() ||
               found->second.is_floating_point() != value->is_floating_point()) {
      unlike.push_back(text::cat(name, "' is ", found->second.scalar_type(),
                                 shape_text(found->second.sizes()), " and not ",
                                 value->scalar_type(), shape_text(value->sizes())));
    }
  }
  for (const auto& [name, tensor] : stored)
    if (prefix.empty() || name.starts_with(prefix)) there.push_back(name.substr(prefix.size()));
  if (!missing.empty())
    throw UsageError(text::cat("'", path,
                               "' does not hold the weights of this network: ", named_some(missing),
                               missing.size() > 1 ? " are" : " is", " missing in it, which has ",
                               there.empty() ? "none" : named_some(there)));
  if (!unlike.empty())
    throw UsageError(text::cat(
        "'", path, "' holds the weights of another network: its '", unlike[0].substr(0, 200),
        unlike.size() > 1
            ? text::cat(", and ", unlike.size() - 1, " more have another shape or type")
            : std::string()));
  for (const auto& [name, value] : values) {
    value->copy_(stored.at(prefix + name));
    if (value->is_floating_point() && !value->isfinite().all().item<bool>())
      throw Error("the parameter '" + name + "' in '" + path +
                  "' is not finite; start from another checkpoint");
  }
  const std::string theirs = network_of(file.texts, path);
  return theirs.empty() || theirs == text
             ? ""
             : text::cat("the weights in '", path, "' are of the network '", theirs.substr(0, 200),
                         "', and this run has '", text.substr(0, 200), "'");
}

}  // namespace altprop
