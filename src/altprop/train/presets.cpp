#include "altprop/train/presets.h"

#include <algorithm>
#include <functional>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

std::vector<Preset>& all() {
  static std::vector<Preset> presets;
  return presets;
}

RunSettings settings_of(const Preset& preset) {
  RunSettings settings;
  settings.from_toml(preset.settings, "preset '" + preset.name + "'");
  return settings;
}

}  // namespace

RegisterPresets::RegisterPresets(std::vector<Preset> presets) {
  for (Preset& preset : presets) {
    const auto place = std::find_if(all().begin(), all().end(),
                                    [&](const Preset& other) { return preset.name < other.name; });
    all().insert(place, std::move(preset));
  }
}

const std::vector<Preset>& presets() { return all(); }

const Preset& preset(const std::string& name) {
  std::vector<std::string> known;
  for (const Preset& preset : all()) {
    if (preset.name == name) return preset;
    known.push_back(preset.name);
  }
  const std::string near = text::nearest(name, known);
  throw UsageError("there is no preset '" + name + "'" +
                   (near.empty() ? std::string("; `altprop list presets` names them")
                                 : "; did you mean '" + near + "'?"));
}

void apply_preset(RunSettings& settings, const std::string& name) {
  const Preset& found = preset(name);
  settings.from_toml(found.settings, "preset '" + found.name + "'");
  settings.preset = found.name;
}

namespace {

/// Drops what is as the preset has it and what the keeper does not know. @returns the names
std::vector<std::string> drop_unknown(OptionValues& values, const OptionValues& of_preset,
                                      const std::function<bool(const std::string&)>& knows) {
  std::vector<std::string> out;
  for (const auto& [name, value] : of_preset)
    if (const auto found = values.find(name);
        found != values.end() && found->second == value && !knows(name)) {
      values.erase(found);
      out.push_back(name);
    }
  return out;
}

}  // namespace

std::string drop_foreign_options(RunSettings& settings) {
  if (settings.preset.empty()) return "";
  const RunSettings own = settings_of(preset(settings.preset));
  if (rule_entry(own.rule).name != parse_rule(settings.rule).name)
    drop_unknown(settings.rule_options, own.rule_options, [](const std::string&) { return false; });
  if (own.data == settings.data) return "";
  data::Request other(settings.data);
  const std::vector<std::string> dropped =
      drop_unknown(settings.data_options, own.data_options,
                   [&](const std::string& name) { return other.options().has(name); });
  if (dropped.empty()) return "";
  return text::cat("preset '", settings.preset, "' is for data '", own.data, "', and '",
                   settings.data, "' has not its options ", text::join(dropped, ", "),
                   ", which are left out");
}

nlohmann::json preset_listing() {
  nlohmann::json out = nlohmann::json::array();
  RunSettings defaults;
  const nlohmann::json usual = defaults.to_json();
  for (const Preset& preset : all()) {
    nlohmann::json values = settings_of(preset).to_json(), changed = nlohmann::json::object();
    for (const auto& [name, value] : values.items())
      if (value != usual[name]) changed[name] = value;
    out.push_back({{"name", preset.name},
                   {"summary", preset.summary},
                   {"rule", values["rule"]},
                   {"source", preset.source},
                   {"published", preset.published},
                   {"measured", preset.measured},
                   {"differs", preset.differs},
                   {"settings", changed}});
  }
  return out;
}

}  // namespace altprop
