#include "altprop/base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "altprop/base/text.h"

namespace altprop::terminal {

namespace {

/// "" if it is not set: an empty variable means the same.
std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

size_t width(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

bool is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (const std::string locale = text::lower(variable(name)); !locale.empty())
      return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  return false;
}

bool has_colour(int fd) {
  return ::isatty(fd) && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
}

}  // namespace altprop::terminal
