// Texts as characters: Unicode code points read from UTF-8, and the folding of Latin letters with
// accents to plain ones.
#pragma once

#include <string>
#include <vector>

namespace altprop::data {

/// The code points of a text file; a byte order mark at its beginning is left out.
/// @throws Error naming the file and the byte where it is no UTF-8 text
std::vector<char32_t> read_characters(const std::string& path);

std::string to_utf8(char32_t character);

/// The letter under the accents of a Latin letter (by canonical decomposition), the character
/// itself if it has none, 0 for combining marks.
char32_t without_accents(char32_t character);

}  // namespace altprop::data
