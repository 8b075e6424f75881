// The report of a folder of records: one HTML page that needs no network and no file beside itself.
#pragma once

#include <filesystem>
#include <string>

#include "altprop/report/records.h"

namespace altprop::report {

/// The page as text. The records travel inside it as JSON; its script draws tables and charts from
/// them.
std::string html(const Records& records);

/// Reads the records in `dir` and writes `dir/report.html`, whole or not at all.
/// @throws Error naming the file that cannot be read or written
void write(const std::filesystem::path& dir);

/// The same of several folders, to a file.
void write(const std::vector<std::string>& dirs, const std::filesystem::path& page);

}  // namespace altprop::report
