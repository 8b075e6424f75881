// What the terminal behind an output can show: its width, characters beyond ASCII, colours.
#pragma once

#include <cstddef>

namespace altprop::terminal {

/// Columns of the terminal behind a file descriptor; 80 where there is none.
size_t width(int fd);

/// Whether the locale of the environment writes UTF-8: LC_ALL, else LC_CTYPE, else LANG.
bool is_utf8();

/// Whether colours belong there: a terminal that has them, and no NO_COLOR (https://no-color.org).
bool has_colour(int fd);

}  // namespace altprop::terminal
