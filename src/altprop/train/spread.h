// Figures over the seeds of one rule.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace altprop {

/// {"mean", "std", "n"}: mean and sample standard deviation, 0 of a single value; null of none.
nlohmann::json spread(const std::vector<double>& values);
/// "93.28 +- 0.70", of a single value "93.28", of null "-". @param factor of the values
std::string spread_text(const nlohmann::json& spread, double factor, int digits);

}  // namespace altprop
