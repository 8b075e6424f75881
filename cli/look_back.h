// What the commands share that read folders of records.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "altprop/report/records.h"

namespace altprop::cli {

/// Notes on what could not be read, on the error output.
void say_notes(const report::Records& records, const std::string& dir);

/// JSON of records, which need not be UTF-8.
std::string written(const nlohmann::json& json);

}  // namespace altprop::cli
