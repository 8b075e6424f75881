#include "altprop/base/text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <numeric>

namespace altprop::text {

std::string trim(std::string_view s) {
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.front()))) s.remove_prefix(1);
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.back()))) s.remove_suffix(1);
  return std::string(s);
}

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

namespace {

std::vector<std::string> split_at(std::string_view s, char separator, bool respect_brackets) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (char c : s) {
    if (respect_brackets && (c == '(' || c == '[' || c == '{')) ++depth;
    if (respect_brackets && (c == ')' || c == ']' || c == '}')) --depth;
    if (c == separator && depth <= 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

std::vector<std::string> split(std::string_view s, char separator) {
  return split_at(s, separator, false);
}

std::vector<std::string> split_outside_brackets(std::string_view s, char separator) {
  return split_at(s, separator, true);
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i) out += separator;
    out += parts[i];
  }
  return out;
}

namespace {

template <class Number>
std::optional<Number> parse_whole(std::string_view s) {
  if (!s.empty() && s.front() == '+') s.remove_prefix(1);
  Number value{};
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc() || end != s.data() + s.size() || s.empty()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<double> to_number(std::string_view s) { return parse_whole<double>(s); }
std::optional<int64_t> to_integer(std::string_view s) { return parse_whole<int64_t>(s); }

std::string from_number(double value) {
  char buffer[64];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return error == std::errc() ? std::string(buffer, end) : std::to_string(value);
}

namespace {

/// Letters to insert, leave out, replace or exchange with their neighbour.
size_t edits_between(const std::string& a, const std::string& b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({row[j - 1] + 1, above[j] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(const std::string& name, const std::vector<std::string>& candidates) {
  std::string best;
  // Of three letters two others are another word.
  size_t best_edits = (name.size() <= 3 ? 1 : std::max<size_t>(2, name.size() / 3)) + 1;
  for (const std::string& candidate : candidates)
    if (const size_t edits = edits_between(name, candidate); edits < best_edits) {
      best_edits = edits;
      best = candidate;
    }
  return best;
}

std::string suggestion(const std::string& name, const std::vector<std::string>& candidates) {
  if (std::string near = nearest(name, candidates); !near.empty())
    return cat("; did you mean '", near, "'?");
  if (candidates.empty()) return "";
  // Of more than can be read, how many there are.
  constexpr size_t kMost = 40;
  const std::vector<std::string> first(
      candidates.begin(), candidates.begin() + std::min(candidates.size(), kMost));
  const size_t more = candidates.size() - first.size();
  return "; known are " + join(first, ", ") + (more ? cat(" and ", more, " more") : "");
}

}  // namespace altprop::text
