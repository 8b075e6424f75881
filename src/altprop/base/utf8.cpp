#include "altprop/base/utf8.h"

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"

namespace altprop::text {

namespace {

/// Bytes of a character that begins so; 0: none does.
size_t length_of(uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return 2;
  if (first >= 0xE0 && first < 0xF0) return 3;
  return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

}  // namespace

Utf8 first_character(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const size_t length = length_of(byte(0));
  if (length == 0 || length > bytes.size()) return {};
  if (length == 1) return {byte(0), 1};
  int64_t code = byte(0) & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr int64_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kLeast[length] || surrogate || code > 0x10FFFF) return {};
  return {code, length};
}

size_t not_utf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const Utf8 character = first_character(bytes.substr(i));
    if (character.code < 0) return i;
    i += character.bytes;
  }
  return std::string_view::npos;
}

void require_utf8(const std::string& text, const std::string& what) {
  const size_t at = not_utf8(text);
  if (at == std::string::npos) return;
  constexpr size_t kShown = 60;
  const size_t from = at > kShown ? at - kShown : 0;
  throw UsageError(cat(what, " must be UTF-8 text, but byte ", at + 1,
                       ", counted from 1, belongs to no character: '", from > 0 ? "..." : "",
                       printable(text.substr(from, kShown + 20)),
                       "'; write it anew or convert it, as with iconv"));
}

}  // namespace altprop::text
