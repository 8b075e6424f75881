// Numbers as they stand in tables, and what stands there where a number is missing.
#pragma once

#include <optional>
#include <string_view>

namespace altprop::data {

/// A decimal number with a point, as C writes it without "0x"; what is smaller than float64 knows
/// becomes 0 as in Python, what is larger, "inf" and "nan" are none.
std::optional<double> parse_number(std::string_view field);

/// As parse_number, with a decimal comma in place of the point.
std::optional<double> parse_comma_number(std::string_view field);

/// Digits with commas among them: a decimal comma or separated thousands.
bool is_comma_number(std::string_view field);

/// "inf", "-Infinity" and the like.
bool is_infinite(std::string_view field);

/// What pandas takes for a missing value by default (the empty field, NA, N/A, nan, null, None,
/// ...), in any case of letters, and the question mark of the UCI repository.
bool is_missing(std::string_view field);

}  // namespace altprop::data
