// What a folder of records says, for a terminal.
#pragma once

#include <string>
#include <vector>

#include "altprop/report/records.h"
#include "altprop/report/terminal_chart.h"

namespace altprop::report {

/// Outcome, curves, worst layers, settings that were chosen and warnings of a run or a comparison.
/// @param dir as it was named
/// @param chosen lines about settings that are not the defaults
std::string show_text(const Records& records, const std::string& dir,
                      const std::vector<std::string>& chosen, const TerminalLook& look);

/// Rows of equally many cells, columns as wide as they need; numbers to the right.
/// @param to_the_right for each column
std::string table_of(const std::vector<std::vector<std::string>>& rows,
                     const std::vector<bool>& to_the_right, const TerminalLook& look);

}  // namespace altprop::report
