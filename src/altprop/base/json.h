// Reading JSON: the one way in. Records come from folders that others can write to, so their size,
// their depth and their names are looked at before anything is made of them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace altprop {

struct JsonLimits {
  int depth = 64;                    ///< objects and lists inside of each other
  size_t bytes = size_t{256} << 20;  ///< of the text
};

/// The document in `text`. A name that stands twice in an object is refused, because readers would
/// disagree on which is meant.
/// @param where what the text is and may be shown to the user, e.g. "'run/summary.json'"
/// @throws Error "WHERE is no JSON: line 3, column 7: ..." if it is malformed, too deep or too long
nlohmann::json read_json(const std::string& text, const std::string& where,
                         const JsonLimits& limits = {});

/// The document in a file, which must be a regular one. @throws Error naming it
nlohmann::json read_json_file(const std::string& path, const JsonLimits& limits = {});

}  // namespace altprop
