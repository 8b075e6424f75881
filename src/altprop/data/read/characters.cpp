#include "altprop/data/read/characters.h"

#include <string_view>

#include "altprop/base/text.h"
#include "altprop/base/utf8.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

namespace {

constexpr uint64_t kLargestText = uint64_t{1} << 30;

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

std::vector<char32_t> read_characters(const std::string& path) {
  InputFile file(path);
  const std::vector<uint8_t> bytes = file.rest(kLargestText);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<char32_t> out;
  for (size_t i = 0; i < bytes.size();) {
    const auto [character, length] = text::first_character(text.substr(i));
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
