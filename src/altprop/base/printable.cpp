#include "altprop/base/printable.h"

namespace altprop::text {

std::string printable(const std::string& s, size_t most) {
  static const char* digits = "0123456789abcdef";
  std::string out;
  for (const unsigned char c : s.substr(0, most)) {
    if (c >= 0x20 && c != 0x7f) {
      out += static_cast<char>(c);
    } else {
      out += {'\\', 'x', digits[c >> 4], digits[c & 15]};
    }
  }
  return s.size() > most ? out + "..." : out;
}

size_t control_character(const std::string& s) {
  for (size_t i = 0; i < s.size(); ++i)
    if (const auto c = static_cast<unsigned char>(s[i]);
        (c < 0x20 && !(c >= '\t' && c <= '\r')) || c == 0x7f)
      return i;
  return std::string::npos;
}

}  // namespace altprop::text
