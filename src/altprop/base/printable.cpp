#include "altprop/base/printable.h"

#include "altprop/base/utf8.h"

namespace altprop::text {

std::string printable(const std::string& s, size_t most) {
  static const char* digits = "0123456789abcdef";
  std::string out;
  size_t i = 0;
  while (i < s.size()) {
    const Utf8 character = first_character(std::string_view(s).substr(i));
    if (i + character.bytes > most) break;
    if (character.code >= 0x20 && character.code != 0x7f) {
      out += s.substr(i, character.bytes);
    } else {
      const auto c = static_cast<unsigned char>(s[i]);
      out += {'\\', 'x', digits[c >> 4], digits[c & 15]};
    }
    i += character.bytes;
  }
  return i < s.size() ? out + "..." : out;
}

size_t control_character(const std::string& s) {
  for (size_t i = 0; i < s.size(); ++i)
    if (const auto c = static_cast<unsigned char>(s[i]);
        (c < 0x20 && !(c >= '\t' && c <= '\r')) || c == 0x7f)
      return i;
  return std::string::npos;
}

}  // namespace altprop::text
