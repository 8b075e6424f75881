// The plots and the page of a study, from what its summary holds and nothing else.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "altprop/theory/plot.h"

namespace altprop::theory {

/// cos(b, beta) against width, mean and spread over the repetitions, a line per lambda.
Plot alignment_plot(const nlohmann::json& summary);
/// Mean loss against step at the greatest width, a line per lambda; for lambda = 0 the bound of the
/// theory, too.
Plot loss_plot(const nlohmann::json& summary);
/// Writes alignment.svg, loss.svg and report.html.
void write_page(const nlohmann::json& summary, const std::filesystem::path& folder);

}  // namespace altprop::theory
