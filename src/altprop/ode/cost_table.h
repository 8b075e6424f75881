// The costs of all gradient methods of a network's ODE blocks, as text and JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "altprop/ode/cost.h"

namespace altprop::ode {

std::string cost_table(std::span<const Profile> profiles, int64_t rows);
nlohmann::json cost_json(std::span<const Profile> profiles, int64_t rows);

}  // namespace altprop::ode
