// Which settings of a run are not the defaults.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace altprop {

/// A line "lr = 0.02 (default 0.01)" for each, those of the rule, the data and the direction as
/// they are given on the command line ("rule.kp.form", "data.validation"). What this version does
/// not know is shown without a default.
/// @param settings of a record: RunSettings::to_json, or config.toml as an object
/// @param leave_out names that are shown elsewhere
std::vector<std::string> changed_settings(const nlohmann::json& settings,
                                          const std::vector<std::string>& leave_out = {});

/// Settings by the names of the command line, as text: also those that are defaults.
std::map<std::string, std::string> settings_as_text(const nlohmann::json& settings);

}  // namespace altprop
