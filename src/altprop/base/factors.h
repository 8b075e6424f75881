// Factors by name, as options take them: items "pattern=factor".
#pragma once

#include <string>
#include <vector>

namespace altprop {

/// The factor of the last item whose pattern is part of `name`; 1 if there is none.
/// @param option its name, for the sentence @throws UsageError for a malformed item
double factor_of(const std::string& option, const std::vector<std::string>& items,
                 const std::string& name);

/// Patterns that are part of none of the names.
std::vector<std::string> patterns_without_match(const std::vector<std::string>& items,
                                                const std::vector<std::string>& names);

}  // namespace altprop
