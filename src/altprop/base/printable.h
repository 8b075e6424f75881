// What may be printed of text that came from a file or a command line.
#pragma once

#include <string>

namespace altprop::text {

/// On one line, in UTF-8, and without characters that steer a terminal: those are written \xNN, and
/// so are bytes that are no UTF-8. Of more than `most` bytes the end is left out.
std::string printable(const std::string& s, size_t most = 2000);

/// Place of the first control character other than white space; npos if there is none.
size_t control_character(const std::string& s);

}  // namespace altprop::text
