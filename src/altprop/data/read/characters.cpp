#include "altprop/data/read/characters.h"

#include <string_view>

#include "altprop/base/text.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

namespace {

constexpr uint64_t kLargestText = uint64_t{1} << 30;

/// Bytes of a character that begins so; 0: none does.
size_t length_of(uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return 2;
  if (first >= 0xE0 && first < 0xF0) return 3;
  return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

/// The character of `length` bytes, or -1 if they are no UTF-8: bytes that do not go on, a longer
/// form than needed, half of a surrogate pair, beyond Unicode.
int64_t decode(const uint8_t* bytes, size_t length) {
  if (length == 1) return bytes[0];
  int64_t out = bytes[0] & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((bytes[i] & 0xC0) != 0x80) return -1;
    out = out << 6 | (bytes[i] & 0x3F);
  }
  constexpr int64_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = out >= 0xD800 && out < 0xE000;
  return out < kLeast[length] || surrogate || out > 0x10FFFF ? -1 : out;
}

// By Unicode's canonical decompositions; '?' has none.
constexpr char32_t kLatin = 0xC0, kLatinMore = 0x1E00;
constexpr std::string_view kLatinLetters =
    "AAAAAA?CEEEEIIII?NOOOOO??UUUUY??aaaaaa?ceeeeiiii?nooooo??uuuuy?y"
    "AaAaAaCcCcCcCcDd??EeEeEeEeEeGgGgGgGgHh??IiIiIiIiI???JjKk?LlLlLl??"
    "??NnNnNn???OoOoOo??RrRrRrSsSsSsSsTtTt??UuUuUuUuUuUuWwYyYZzZzZz?";
constexpr std::string_view kLatinMoreLetters =
    "AaBbBbBbCcDdDdDdDdDdEeEeEeEeEeFfGgHhHhHhHhHhIiIiKkKkKkLlLlLlLlMmMmMm"
    "NnNnNnNnOoOoOoOoPpPpRrRrRrRrSsSsSsSsSsTtTtTtTtUuUuUuUuUuVvVvWwWwWwWwWwXxXxYyZzZzZzhtwy??????"
    "AaAaAaAaAaAaAaAaAaAaAaAaEeEeEeEeEeEeEeEeIiIiOoOoOoOoOoOoOoOoOoOoOoOoUuUuUuUuUuUuUuYyYyYyYy????"
    "??";
static_assert(kLatinLetters.size() == 192 && kLatinMoreLetters.size() == 256);

}  // namespace

bool is_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  for (size_t i = 0; i < text.size();) {
    const size_t length = length_of(bytes[i]);
    if (length == 0 || i + length > text.size() || decode(bytes + i, length) < 0) return false;
    i += length;
  }
  return true;
}

std::vector<char32_t> read_characters(const std::string& path) {
  InputFile file(path);
  const std::vector<uint8_t> bytes = file.rest(kLargestText);
  std::vector<char32_t> out;
  for (size_t i = 0; i < bytes.size();) {
    const size_t length = length_of(bytes[i]);
    const int64_t character =
        length == 0 || i + length > bytes.size() ? -1 : decode(&bytes[i], length);
    if (character < 0)
      file.fail(text::cat("is no UTF-8 text: byte ", i, ", counted from 0, does not belong there"));
    if (character == 0) file.fail(text::cat("is no text: byte ", i, ", counted from 0, is zero"));
    if (i > 0 || character != 0xFEFF) out.push_back(static_cast<char32_t>(character));
    i += length;
  }
  return out;
}

std::string to_utf8(char32_t c) {
  const auto tail = [](char32_t bits) { return static_cast<char>(0x80 | (bits & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(c)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(c >> 6), tail(c)};
  return {static_cast<char>(0xF0 | c >> 18), tail(c >> 12), tail(c >> 6), tail(c)};
}

char32_t without_accents(char32_t c) {
  if (c >= 0x300 && c < 0x370) return 0;
  for (const auto& [first, letters] :
       {std::pair{kLatin, kLatinLetters}, {kLatinMore, kLatinMoreLetters}})
    if (c >= first && c < first + letters.size() && letters[c - first] != '?')
      return static_cast<char32_t>(letters[c - first]);
  return c;
}

}  // namespace altprop::data
