// Counts, bytes and durations as tables and sentences say them.
#pragma once

#include <cstdint>
#include <string>

namespace altprop::text {

/// "12.3 M" for large numbers, exact below 10000, then with a blank behind it for a unit.
std::string short_number(int64_t n);
/// "12.3 MB", "512 B"; kB are 1000 bytes.
inline std::string short_bytes(int64_t n) { return short_number(n) + "B"; }
/// "2:03", "1:02:03" of seconds; "-" of what is no duration.
std::string clock_text(double seconds);

}  // namespace altprop::text
