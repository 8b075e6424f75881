// A run that has no summary: it goes on, or something ended it before it could write one. What its
// settings and its records say takes the summary's place.
#pragma once

#include "altprop/report/records.h"

namespace altprop::report {

/// config.toml of a folder, its tables as objects; an empty object if it cannot be read, with a
/// note. @param shown names the file in the note
nlohmann::json read_config(const std::filesystem::path& path, const std::string& shown,
                           std::vector<std::string>& notes);

/// Whether somebody trains in the folder at this moment.
bool is_at_work(const std::filesystem::path& dir);

/// Whether a run has no summary, or one from before its last records.
bool lacks_summary(const Run& run, bool at_work);
/// Makes the summary that a run lacks. @param config as read_config has it
void make_summary(Run& run, const nlohmann::json& config, bool at_work);
/// finished, running, stopped or diverged.
std::string state_of(const Run& run);

}  // namespace altprop::report
