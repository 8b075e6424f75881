// UTF-8, in which settings, records and reports are kept: where a text is none, which no user's
// string may be on its way into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace altprop::text {

/// A character at the beginning of some bytes.
struct Utf8 {
  int64_t code = -1;  ///< -1: these bytes are none, because they do not go on, are a longer form
                      ///< than needed, half of a surrogate pair or beyond Unicode
  size_t bytes = 1;
};
/// @param bytes not empty
Utf8 first_character(std::string_view bytes);

/// Place of the first byte that is no part of a character, counted from 0; npos if there is none.
size_t not_utf8(std::string_view bytes);
inline bool is_utf8(std::string_view bytes) { return not_utf8(bytes) == std::string_view::npos; }

/// @param what "the network text". @throws UsageError "WHAT must be UTF-8 text, but byte 7, counted
/// from 1, is none: 'mlp:\xff'; ..."
void require_utf8(const std::string& text, const std::string& what);

}  // namespace altprop::text
