// A table of all runs below a folder.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "altprop/report/terminal_chart.h"

namespace altprop::report {

/// What the list knows of a run, in the order of its columns.
struct RunColumn {
  std::string name, help;
  bool number = false;  ///< sorted by value, the most first if that is better
  bool more_first = false;
};
const std::vector<RunColumn>& run_columns();

struct RunList {
  std::vector<nlohmann::json> rows;  ///< objects with a value, or null, for each column
  std::vector<std::string> notes;    ///< what could not be read
};

/// Every folder with records of a run below `folder`, itself included. Links are not followed.
/// @throws Error if there is no such folder
RunList list_runs(const std::filesystem::path& folder);

/// Keeps the rows that fulfil all conditions: "rule=fa,accuracy>0.9", with =, !=, <, <=, > and >=,
/// and ~ for "contains". Percent may be written: accuracy>90%. @param named what stands for a rule,
/// where it has several names. @throws UsageError
void filter_runs(RunList& list, const std::string& conditions,
                 const std::function<std::string(const std::string&)>& named);
/// By one column, what it lacks last; with '-' before the name the other way round.
/// @throws UsageError
void sort_runs(RunList& list, const std::string& column);

std::string list_text(const RunList& list, const TerminalLook& look);
std::string list_csv(const RunList& list);

}  // namespace altprop::report
