// How the states of a relaxing rule settle on a batch, for `check`, the records and the report.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "altprop/rules/learner.h"

namespace altprop {

/// None if the rule relaxes nothing. Nothing is changed, as with compare_gradients.
/// @param step the batch to look at; its updater is ignored
std::optional<Settling> watch_settling(Learner& learner, const Step& step);

/// {"compared_with", "steps": [...], "energy_per_sample", "stable_below", "states": [{"name",
/// "layer", "hops", "expected", "steps_needed", "residual": [...], "energy", "scale", "cosine",
/// "apart"}], "figures": {...}, "remarks": [...]}; what is not known is null or left out.
nlohmann::json settling_json(const Settling& settling);

/// The state of things after the last step, a line per state.
std::string settling_table(const Settling& settling);

}  // namespace altprop
