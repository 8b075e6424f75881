#include "altprop/data/read/csv_number.h"

#include <locale.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "altprop/base/text.h"

namespace altprop::data {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<double> parse_number(std::string_view field) {
  std::string_view s = field;
  if (!s.empty() && s.front() == '+') s.remove_prefix(1);
  // Neither "+-1" nor "inf" nor "nan".
  const size_t first = !s.empty() && s.front() == '-' && s.size() == field.size() ? 1 : 0;
  if (first >= s.size() || !(is_digit(s[first]) || s[first] == '.')) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (end != s.data() + s.size() || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) {  // too small or too large, which is not said
    static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);
    value = strtod_l(std::string(s).c_str(), nullptr, plain);
  }
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<double> parse_comma_number(std::string_view field) {
  if (field.find('.') != std::string_view::npos) return std::nullopt;
  std::string pointed(field);
  std::replace(pointed.begin(), pointed.end(), ',', '.');
  return parse_number(pointed);
}

bool is_comma_number(std::string_view field) {
  const size_t comma = field.find(',');
  if (comma == std::string_view::npos) return false;
  std::string without(field);
  without.erase(std::remove(without.begin(), without.end(), ','), without.end());
  const auto beside = [&](size_t at) { return at < field.size() && is_digit(field[at]); };
  return parse_number(without).has_value() && (beside(comma + 1) || beside(comma - 1));
}

bool is_infinite(std::string_view field) {
  if (!field.empty() && (field.front() == '+' || field.front() == '-')) field.remove_prefix(1);
  const std::string word = text::lower(field);
  return word == "inf" || word == "infinity";
}

bool is_missing(std::string_view field) {
  if (field.empty()) return true;
  if (field.size() > 8) return false;
  static constexpr std::array<std::string_view, 16> kWords{
      "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan",
      "<na>", "n/a",      "na",  "null",    "nan",      "none", "?",      "+nan"};
  return std::find(kWords.begin(), kWords.end(), text::lower(field)) != kWords.end();
}

}  // namespace altprop::data
