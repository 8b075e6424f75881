// Curves in a terminal: braille dots, eight to a character, or one letter a point where the locale
// has ASCII alone.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace altprop::report {

struct ChartLine {
  std::string label;
  std::vector<std::pair<double, double>> points;  ///< x rising; what is not finite is left out
};

/// How a terminal is written to.
struct TerminalLook {
  size_t width = 80;
  bool utf8 = true, colour = false;
};

/// Of what the standard output goes to.
TerminalLook look_of_output();

/// A title, the lines over a common x, what they are called at their right ends, and both axes'
/// ends. Values above 0 that span more than 30 get a logarithmic axis, and the title says so. ""
/// if no line has a point.
/// @param factor of the values where they are written, as 100 of a share
std::string terminal_chart(const std::string& title, const std::vector<ChartLine>& lines,
                           const TerminalLook& look, double factor = 1);

/// In bold, where colours are.
std::string heading(const std::string& words, const TerminalLook& look);

/// Characters of UTF-8, each taken for one column.
size_t columns_of(const std::string& s);
/// With blanks behind it (or in front of it), or cut with "~" at the end if it is longer.
std::string padded(const std::string& s, size_t columns, bool to_the_right = false);

}  // namespace altprop::report
