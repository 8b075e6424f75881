// Small text helpers shared by the parsers: splitting, strict number reading, suggestions for
// mistyped names.
#pragma once

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace altprop::text {

/// Concatenates the printed forms of all arguments.
template <class... T>
std::string cat(const T&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

std::string trim(std::string_view s);
std::string lower(std::string_view s);

/// Splits at every `separator`; empty pieces are kept, so "a,,b" has three.
std::vector<std::string> split(std::string_view s, char separator);

/// Splits at `separator` outside of (), [] and {}: "a,b[x=1,y=2]" has two pieces at ','.
std::vector<std::string> split_outside_brackets(std::string_view s, char separator);

std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// The whole of `s` as a number, or nothing. "1e-3" and "inf" are numbers, "3x" and "" are not.
std::optional<double> to_number(std::string_view s);
std::optional<int64_t> to_integer(std::string_view s);

/// Shortest text that reads back as the same double.
std::string from_number(double value);

/// The candidate nearest to `name` by edit distance if it is near enough to be a typing error, else
/// "".
std::string nearest(const std::string& name, const std::vector<std::string>& candidates);

/// "; did you mean 'x'?" or "; known are a, b, c", for error messages.
std::string suggestion(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace altprop::text
